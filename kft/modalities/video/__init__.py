"""Videos: files of films, animated GIFs and folders of frames."""
