"""The training studio: procedural scenes, data sets, patches, stages, releases."""
