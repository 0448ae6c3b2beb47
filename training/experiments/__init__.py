"""Experiments of the paper that explain choices; nothing else imports them."""
