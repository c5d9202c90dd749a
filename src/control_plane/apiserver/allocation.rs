//! What a new or changed object draws from pools that all of its kind share.
//!
//! There is no table of what is taken that could disagree with the objects: it is told from all
//! that are stored, by one writer at a time, and what is chosen is committed with the object.
//!
//! Upstream: `beginCreate`, `beginUpdate` in `pkg/registry/core/service/storage/storage.go`.

use tokio::sync::OwnedMutexGuard;

use super::call::Call;
use super::status::{Failure, Outcome};
use crate::api::status;
use crate::control_plane::registry::{AllocationError, AnyObject, Decoded};
use crate::control_plane::storage::ListQuery;

/// Nobody else allocates until the object is written, or is not to be.
pub(super) type Turn = OwnedMutexGuard<()>;

impl Call {
    /// Gives the object what it lacks. `None` for kinds that need nothing; else the caller keeps the
    /// turn until it has written the object.
    ///
    /// # Errors
    /// 422 if what the author chose is taken or out of range, 500 if all is taken.
    pub(super) async fn allocate(
        &self,
        object: &mut dyn AnyObject,
        old: Option<&dyn AnyObject>,
    ) -> Outcome<Option<Turn>> {
        let resource = self.resource;
        if !resource.allocates() {
            return Ok(None);
        }
        let turn = self.server.allocation().lock_owned().await;
        let name = object.metadata().name.clone().unwrap_or_default();
        let own = resource.key(self.namespace(), &name);
        let all = self.server.storage().list(&resource.prefix(None), ListQuery::default()).await?;
        let others: Vec<Decoded> = all
            .items
            .iter()
            .filter(|stored| stored.key != own)
            .filter_map(|stored| resource.decoded(stored).ok())
            .collect();
        match resource.allocate(object, old, &others, self.server.ranges()) {
            Ok(()) => Ok(Some(turn)),
            Err(AllocationError::Invalid(faults)) => Err(self.invalid(&name, &faults)),
            Err(AllocationError::Exhausted(text)) => {
                Err(Failure::from(status::internal_error(text)))
            }
        }
    }
}
