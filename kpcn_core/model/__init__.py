"""The network, one module a file, each forward reading like its figure in the paper. No I/O."""
