//! Hands what is about to be written to the admission plugins.

use super::call::Call;
use super::status::Outcome;
use crate::control_plane::registry::AnyObject;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
}

impl Call {
    /// Lets the plugins change the object.
    ///
    /// # Errors
    /// A plugin's refusal.
    pub(crate) async fn admit(
        &mut self,
        operation: Operation,
        object: Option<&mut dyn AnyObject>,
        old: Option<&dyn AnyObject>,
    ) -> Outcome<()> {
        let _ = (operation, object, old);
        Ok(())
    }

    /// Lets the plugins look at the object as it will be written.
    ///
    /// # Errors
    /// A plugin's refusal.
    pub(crate) async fn review(
        &self,
        operation: Operation,
        object: Option<&dyn AnyObject>,
        old: Option<&dyn AnyObject>,
    ) -> Outcome<()> {
        let _ = (operation, object, old);
        Ok(())
    }

    pub(crate) fn warn(&mut self, object: &dyn AnyObject) {
        self.warnings.extend(self.resource.warnings(object));
    }
}
