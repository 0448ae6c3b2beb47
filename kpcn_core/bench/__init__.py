"""`kpcn bench`: how long every stage of a frame takes here, and how long it would have to take."""
