//! Flags, environment and files become the rooms' own configurations here, and nowhere else.
