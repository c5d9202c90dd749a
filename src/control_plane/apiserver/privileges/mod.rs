//! What an object would let others do, against what its author may: nobody gives what they do not have.
//!
//! Enter by [`Call::check_privileges`], which every write passes once admission has changed the object.

mod certificates;
mod roles;

use std::any::Any;

use super::call::Call;
use super::status::{Failure, Outcome};
use crate::api::status;
use crate::control_plane::auth::rbac::{self, Kind};
use crate::control_plane::registry::AnyObject;
use crate::control_plane::storage::Stored;

type AnyObjectRef<'a> = &'a (dyn AnyObject + 'static);

impl Call {
    /// # Errors
    /// 403 if the object gives more than its author has.
    pub(crate) fn check_privileges(
        &self,
        object: AnyObjectRef<'_>,
        old: Option<AnyObjectRef<'_>>,
    ) -> Outcome<()> {
        match self.resource.group() {
            rbac::GROUP => roles::check(self, object, old),
            "certificates.k8s.io" => certificates::check(self, object, old),
            _ => Ok(()),
        }
    }

    /// Waits until a role or binding that was just written is judged by: who is told that it is there may
    /// rely on it.
    pub(crate) async fn settled(&self, written: &Stored) {
        if self.resource.group() != rbac::GROUP {
            return;
        }
        let plural = self.resource.names().plural;
        let Some((_, kind)) = Kind::ALL.iter().find(|(known, _)| *known == plural) else { return };
        let reached = self.server.authorizer().reached(*kind, written.revision.0);
        self.server.stopping().run_until_cancelled(reached).await;
    }

    /// A 403 about the object, which may not have got its name yet.
    fn refused_object(&self, object: AnyObjectRef<'_>, cause: impl std::fmt::Display) -> Failure {
        let name = object.metadata().name.as_deref().unwrap_or_default();
        status::forbidden(&self.group_resource(), name, cause).into()
    }
}

fn typed<T: 'static>(object: AnyObjectRef<'_>) -> Option<&T> {
    let any: &dyn Any = object;
    any.downcast_ref()
}
