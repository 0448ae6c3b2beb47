"""How kpcn gets onto machines that pip alone does not reach."""
