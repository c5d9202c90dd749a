//! `tcpSocket`: somebody accepts connections. Upstream: `pkg/probe/tcp`.

use super::ask::Answer;
use super::dial::{Deadline, Dialer};

pub(super) async fn ask(dialer: &Dialer, host: &str, port: u16, deadline: &Deadline) -> Answer {
    match dialer.connect(host, port, deadline).await {
        Ok(_closed) => Answer::Success,
        Err(error) => Answer::Failure(error.to_string()),
    }
}
