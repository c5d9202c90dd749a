//! The kinds of `scheduling.k8s.io`.

mod priority_class;

pub(crate) use priority_class::{PriorityClasses, SYSTEM_PRIORITIES};
