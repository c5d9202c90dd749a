//! GET of `pods/log`: a container's log as plain text, followed if asked for.
//!
//! Upstream: `pkg/registry/core/pod/rest/log.go`, `ValidatePodLogOptions`.

use std::time::Duration;

use futures::StreamExt;
use http::{HeaderValue, Response, header};
use jiff::Timestamp;

use super::pod;
use crate::api::fields::{FieldError, Path};
use crate::api::object::GroupKind;
use crate::api::status;
use crate::client::node_api::LogOptions;
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::query::Query;
use crate::control_plane::apiserver::status::{Failure, Outcome};

pub(super) async fn run(call: Call) -> Outcome<Response<Body>> {
    let found = pod::read(&call).await?;
    let container = pod::container(&call, &found)?;
    let options = options(&call)?;
    let body = if pod::is_assigned(&found) {
        let log = pod::node(&call)?.logs(&container, options).await?;
        // A followed log ends with the server, too.
        Body::Stream(log.take_until(call.server.stopping().clone().cancelled_owned()).boxed())
    } else {
        Body::empty()
    };
    let mut response = Response::new(body);
    let text = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    Ok(response)
}

fn options(call: &Call) -> Outcome<LogOptions> {
    let numbers = Numbers::read(&call.query).map_err(Failure::bad_request)?;
    let since_time = call.query.text("sinceTime").map(str::parse::<Timestamp>).transpose();
    let since_time = since_time.map_err(|err| Failure::bad_request(format!("sinceTime: {err}")))?;
    let faults = numbers.faults(since_time.is_some());
    if !faults.is_empty() {
        return Err(
            status::invalid(&GroupKind::new("", "PodLogOptions"), call.name(), &faults).into()
        );
    }
    let unsigned = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    Ok(LogOptions {
        follow: call.query.flag("follow"),
        previous: call.query.flag("previous"),
        since: unsigned(numbers.since_seconds).map(Duration::from_secs),
        since_time,
        timestamps: call.query.flag("timestamps"),
        tail_lines: unsigned(numbers.tail_lines),
        limit_bytes: unsigned(numbers.limit_bytes),
    })
}

struct Numbers {
    tail_lines: Option<i64>,
    limit_bytes: Option<i64>,
    since_seconds: Option<i64>,
}

impl Numbers {
    fn read(query: &Query) -> Result<Self, String> {
        Ok(Self {
            tail_lines: query.number("tailLines")?,
            limit_bytes: query.number("limitBytes")?,
            since_seconds: query.number("sinceSeconds")?,
        })
    }

    fn faults(&self, has_since_time: bool) -> Vec<FieldError> {
        const POSITIVE: &str = "must be greater than 0";
        let invalid = |name: &'static str, value: Option<i64>, least: i64, detail: &str| {
            let value = value.filter(|value| *value < least)?;
            Some(FieldError::invalid(Path::new(name), value, detail))
        };
        let both = (self.since_seconds.is_some() && has_since_time).then(|| {
            let detail = "at most one of `sinceTime` or `sinceSeconds` may be specified";
            FieldError::forbidden(Path::default(), detail)
        });
        let faults = [
            invalid("tailLines", self.tail_lines, 0, "must be greater than or equal to 0"),
            invalid("limitBytes", self.limit_bytes, 1, POSITIVE),
            both,
            invalid("sinceSeconds", self.since_seconds, 1, POSITIVE),
        ];
        faults.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, has_since_time: bool, expect: &[&str]) {
        let faults = Numbers::read(&Query::parse(query)).unwrap().faults(has_since_time);
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expect);
    }

    #[test]
    fn all_faults_of_the_query_are_told() {
        check("tailLines=0&limitBytes=1&sinceSeconds=1", false, &[]);
        check(
            "tailLines=-1&limitBytes=0",
            false,
            &[
                "tailLines: Invalid value: -1: must be greater than or equal to 0",
                "limitBytes: Invalid value: 0: must be greater than 0",
            ],
        );
        check(
            "sinceSeconds=5",
            true,
            &["<nil>: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"],
        );
    }
}
