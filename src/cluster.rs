//! Composition: builds the two wings, joins them, starts them, drains them in reverse.
