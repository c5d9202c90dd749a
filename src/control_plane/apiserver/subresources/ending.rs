//! How a command ended, as its client is told over WebSocket and SPDY alike.
//!
//! Upstream: `k8s.io/kubelet/pkg/cri/streaming/remotecommand/exec.go`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Status, StatusCause, StatusDetails};

use crate::api::status;
use crate::client::node_api::NodeError;

/// kubectl takes its exit code from the cause `ExitCode`.
pub(super) fn ending(ended: Result<i32, NodeError>) -> Status {
    match ended {
        Ok(0) => Status { status: Some("Success".to_owned()), ..Status::default() },
        Ok(code) => Status {
            status: Some("Failure".to_owned()),
            reason: Some("NonZeroExitCode".to_owned()),
            message: Some(format!(
                "command terminated with non-zero exit code: exit status {code}"
            )),
            details: Some(StatusDetails {
                causes: Some(vec![StatusCause {
                    reason: Some("ExitCode".to_owned()),
                    message: Some(code.to_string()),
                    field: None,
                }]),
                ..StatusDetails::default()
            }),
            ..Status::default()
        },
        Err(err) => status::internal_error(format!("error executing command in container: {err}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_a_cause() {
        let status = ending(Ok(3));
        assert_eq!(status.reason.as_deref(), Some("NonZeroExitCode"));
        let causes = status.details.unwrap().causes.unwrap();
        assert_eq!(causes[0].message.as_deref(), Some("3"));
        assert_eq!(ending(Ok(0)).status.as_deref(), Some("Success"));
    }
}
