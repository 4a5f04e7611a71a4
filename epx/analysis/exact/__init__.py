"""Facts known without training: closed forms, floors, toys of collapse, patterns of Life."""
