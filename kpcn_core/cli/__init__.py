"""The `kpcn` command: one thin click module per command. The only place that imports click."""
