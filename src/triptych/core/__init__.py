"""The bricks every family is built from. Torch only: no family, no configuration, no file."""
