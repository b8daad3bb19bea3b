"""Images of apps, built and pushed without Docker. Not loaded where an image is given."""
