//! Which program a command means: one of the container's own, or, for those who enter it from
//! outside, one of the tools that the host lends to a container that lacks them.

use std::fmt;
use std::sync::Arc;

use super::StartError;
use super::container::Shared;
use super::program::{Program, find};
use crate::node::files::{Layer, Place, Root};

/// As container engines set it where an image does not.
pub(super) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where the tools are.
const TOOLS_PATH: &str = "/bin";

/// A root filesystem of programs, opened when someone first needs one of them. Programs in its
/// `/bin` are found by name.
#[derive(Clone)]
pub struct Tools(Arc<dyn Fn() -> Result<Arc<Layer>, String> + Send + Sync>);

/// A program to start, and what its process is to see.
pub(super) struct Found {
    pub(super) program: Arc<Program>,
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) root: Arc<Root>,
}

impl Tools {
    /// `open` may block; its error says why there are none.
    pub fn new(open: impl Fn() -> Result<Arc<Layer>, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tools")
    }
}

impl Shared {
    /// The container's own program of a command.
    pub(super) async fn own_program(
        &self,
        working_place: &Place,
        argv: Vec<String>,
    ) -> Result<Found, StartError> {
        self.program(self.root.clone(), self.env.clone(), working_place, argv).await
    }

    /// The container's own program of a command; if there is none, a tool of that name, in the
    /// container's files with the tools' below them.
    ///
    /// # Errors
    /// If there is neither, what the container alone would have answered.
    pub(super) async fn own_program_or_tool(
        &self,
        working_place: &Place,
        argv: Vec<String>,
    ) -> Result<Found, StartError> {
        let own = self.own_program(working_place, argv.clone()).await;
        let Err(StartError::NotFound(text)) = own else { return own };
        let Some(root) = self.root_with_tools().await? else {
            return Err(StartError::NotFound(text));
        };
        let env = with_tools_in_path(self.env.clone());
        match self.program(root, env, working_place, argv).await {
            Err(StartError::NotFound(_)) => Err(StartError::NotFound(text)),
            answer => answer,
        }
    }

    async fn program(
        &self,
        root: Arc<Root>,
        env: Vec<(String, String)>,
        working_place: &Place,
        argv: Vec<String>,
    ) -> Result<Found, StartError> {
        let name = argv.first().map(String::as_str).unwrap_or_default();
        let found = find::by_name(&root, working_place, path(&env), name)?;
        let (program, argv) = self.load(&root, found, argv).await?;
        Ok(Found { program, argv, env, root })
    }

    /// `None` if no tools are lent to this container.
    async fn root_with_tools(&self) -> Result<Option<Arc<Root>>, StartError> {
        let Some(tools) = self.tools.clone() else { return Ok(None) };
        let open = || async {
            let opened = tokio::task::spawn_blocking(move || (tools.0)()).await;
            match opened {
                Ok(Ok(layer)) => Ok(Arc::new(self.root.over(layer))),
                Ok(Err(text)) => Err(StartError::Host(format!("lending tools: {text}"))),
                Err(error) => Err(StartError::Host(format!("lending tools: {error}"))),
            }
        };
        self.root_with_tools.get_or_try_init(open).await.cloned().map(Some)
    }
}

/// The last one counts, as for a program that looks.
fn path(env: &[(String, String)]) -> &str {
    let path = env.iter().rfind(|(key, _)| key == "PATH");
    path.map_or(DEFAULT_PATH, |(_, value)| value)
}

/// A tool finds the others, after the container's own.
fn with_tools_in_path(mut env: Vec<(String, String)>) -> Vec<(String, String)> {
    let path = path(&env).to_owned();
    if !path.split(':').any(|directory| directory == TOOLS_PATH) {
        env.retain(|(key, _)| key != "PATH");
        env.push(("PATH".to_owned(), format!("{path}:{TOOLS_PATH}")));
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: Option<&str>, after: &str) {
        let env: Vec<_> =
            before.iter().map(|path| ("PATH".to_owned(), (*path).to_owned())).collect();
        assert_eq!(path(&with_tools_in_path(env)), after);
    }

    #[test]
    fn the_path_leads_to_the_tools_last() {
        check(None, DEFAULT_PATH);
        check(Some("/usr/bin:/bin"), "/usr/bin:/bin");
        check(Some("/app/bin"), "/app/bin:/bin");
        check(Some(""), ":/bin");
    }
}
