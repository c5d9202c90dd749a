//! Unmodified kubectl against the real binary, as a new user meets it: an empty directory, an empty HOME.
