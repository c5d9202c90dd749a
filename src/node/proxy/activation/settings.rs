//! What a Deployment says about its sleep, in annotations.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;

pub(super) const SCALE_TO_ZERO: &str = "sampan.dev/scale-to-zero";
const AUTO_START: &str = "sampan.dev/auto-start";
const AUTO_STOP: &str = "sampan.dev/auto-stop";
const MIN_REPLICAS: &str = "sampan.dev/min-replicas";
const IDLE_SECONDS: &str = "sampan.dev/idle-seconds";
/// How many replicas it had when it was put to sleep; written here.
pub(super) const AWAKE_REPLICAS: &str = "sampan.dev/awake-replicas";

const IDLE_DEFAULT: Duration = Duration::from_secs(300);

/// `sampan.dev/scale-to-zero: "true"` and what refines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    /// A connection to one of its Services wakes it (`sampan.dev/auto-start`, default true).
    pub(super) auto_start: bool,
    /// Without connections it goes to sleep (`sampan.dev/auto-stop`, default true).
    pub(super) auto_stop: bool,
    /// Replicas that stay (`sampan.dev/min-replicas`, default 0).
    pub(super) min_replicas: i32,
    /// How long nobody is connected before it sleeps (`sampan.dev/idle-seconds`, default 300).
    pub(super) idle: Duration,
    /// What it wakes to; at least 1.
    pub(super) awake_replicas: i32,
}

impl Settings {
    /// `None` for a Deployment that does not ask for it.
    ///
    /// # Errors
    /// What is wrong with an annotation, for an Event.
    pub(super) fn of(deployment: &Deployment) -> Result<Option<Self>, String> {
        let annotations = deployment.metadata.annotations.as_ref();
        let get = |name: &str| annotations.and_then(|all| all.get(name)).map(|text| text.trim());
        let flag = |name, default| match get(name) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => {
                Err(format!("annotation {name}: {other:?} is not \"true\" or \"false\""))
            }
        };
        let number = |name, default: i32| match get(name).map(str::parse::<i32>) {
            None => Ok(default),
            Some(Ok(number)) if number >= 0 => Ok(number),
            Some(_) => {
                let text = get(name).unwrap_or_default();
                Err(format!("annotation {name}: {text:?} is not a number of 0 or more"))
            }
        };
        if !flag(SCALE_TO_ZERO, false)? {
            return Ok(None);
        }
        let min_replicas = number(MIN_REPLICAS, 0)?;
        let seconds = number(IDLE_SECONDS, 0)?;
        let idle = match get(IDLE_SECONDS) {
            None => IDLE_DEFAULT,
            Some(_) => Duration::from_secs(u64::from(seconds.unsigned_abs())),
        };
        Ok(Some(Self {
            auto_start: flag(AUTO_START, true)?,
            auto_stop: flag(AUTO_STOP, true)?,
            min_replicas,
            idle,
            // Ours, unless somebody has changed it.
            awake_replicas: number(AWAKE_REPLICAS, 1).unwrap_or(1).max(min_replicas).max(1),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(annotations: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        let mut deployment = Deployment::default();
        let owned = annotations.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        deployment.metadata.annotations = Some(owned.collect());
        Settings::of(&deployment)
    }

    #[test]
    fn only_those_that_ask_sleep() {
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&[(SCALE_TO_ZERO, "false"), (IDLE_SECONDS, "x")]), Ok(None));
        let settings = of(&[(SCALE_TO_ZERO, "true")]).unwrap().unwrap();
        let expect = Settings {
            auto_start: true,
            auto_stop: true,
            min_replicas: 0,
            idle: IDLE_DEFAULT,
            awake_replicas: 1,
        };
        assert_eq!(settings, expect);
        let settings = of(&[
            (SCALE_TO_ZERO, "true"),
            (AUTO_STOP, "false"),
            (MIN_REPLICAS, "2"),
            (IDLE_SECONDS, "10"),
            (AWAKE_REPLICAS, "5"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!((settings.auto_stop, settings.min_replicas), (false, 2));
        assert_eq!((settings.idle, settings.awake_replicas), (Duration::from_secs(10), 5));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(
            of(&[(SCALE_TO_ZERO, "yes")]),
            Err(r#"annotation sampan.dev/scale-to-zero: "yes" is not "true" or "false""#.to_owned())
        );
        assert_eq!(
            of(&[(SCALE_TO_ZERO, "true"), (IDLE_SECONDS, "-1")]),
            Err(r#"annotation sampan.dev/idle-seconds: "-1" is not a number of 0 or more"#
                .to_owned())
        );
    }
}
