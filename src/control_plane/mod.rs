//! Wing 1: storage, the API server, the scheduler and the controllers.

mod registry;
pub mod storage;
