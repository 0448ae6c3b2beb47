"""The renderers that training data come from: each makes its own scene of a description."""
