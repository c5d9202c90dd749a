//! `serve`: answers by the model whose version the environment names (`MODEL=v1`), from the claim.
//!
//! ```text
//! /predict?wind=7&waves=0.4&visibility=9   how likely it is that a sampan sails
//! /model                                   the model itself
//! /healthz                                 200 once it is loaded: what readiness asks
//! ```

#[cfg(all(target_os = "wasi", target_env = "p2"))]
mod server;

use harbour::model::Model;
use harbour::query;

/// A version and its model, as it could be loaded.
struct Served {
    version: String,
    model: Result<Model, String>,
}

/// The status and the body.
#[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "tests alone ask it there"))]
fn answer(target: &str, served: &Served) -> (u16, String) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Served { version, model } = served;
    let model = match model {
        Ok(model) => model,
        Err(why) => return (503, error(why)),
    };
    match path {
        "/predict" => match query::parse(query) {
            Ok(weather) => {
                let sails = model.predict(&weather);
                (200, format!("{{\"sails\":{sails:.3},\"model\":\"{version}\"}}\n"))
            }
            Err(why) => (400, error(&why)),
        },
        "/model" => (200, format!("version {version}\n{model}")),
        "/healthz" => (200, "ok\n".to_owned()),
        _ => (404, error("there are /predict, /model and /healthz")),
    }
}

fn error(why: &str) -> String {
    // As JSON has it, too: no control characters come here.
    format!("{{\"error\":{why:?}}}\n")
}

#[cfg(test)]
mod tests {
    use harbour::crossing::Crossing;
    use harbour::fit::fit;
    use harbour::random::Random;

    use super::*;

    fn served() -> Served {
        let mut random = Random::new(1);
        let crossings: Vec<Crossing> = (0..500).map(|_| Crossing::random(&mut random)).collect();
        Served { version: "v7".to_owned(), model: fit(2, &crossings) }
    }

    #[test]
    fn a_breeze_carries_and_a_storm_does_not() {
        let served = served();
        let sails = |weather: &str| {
            let (status, body) = answer(&format!("/predict?{weather}"), &served);
            assert!(status == 200 && body.ends_with(",\"model\":\"v7\"}\n"), "{status} {body}");
            let number = body.trim_start_matches("{\"sails\":").split(',').next();
            number.and_then(|it| it.parse::<f64>().ok()).unwrap()
        };
        assert!(sails("wind=7&waves=0.5&visibility=10") > 0.9);
        assert!(sails("wind=17&waves=3&visibility=10") < 0.1);
        assert!(sails("wind=0&waves=0&visibility=10") < 0.1);
    }

    #[test]
    fn what_cannot_be_answered_says_why() {
        let check = |target: &str, served: &Served, status: u16, body: &str| {
            assert_eq!(answer(target, served), (status, format!("{body}\n")), "{target}");
        };
        let none = "{\"error\":\"there are /predict, /model and /healthz\"}";
        check("/", &served(), 404, none);
        check("/predict", &served(), 400, "{\"error\":\"wind (m/s) is missing\"}");
        let why = "{\"error\":\"wind: \\\"a\\\" is not a number\"}";
        check("/predict?wind=a", &served(), 400, why);
        check("/healthz", &served(), 200, "ok");
        let none = Served { version: "v9".to_owned(), model: Err("no such file".to_owned()) };
        check("/healthz", &none, 503, "{\"error\":\"no such file\"}");
    }

    #[test]
    fn the_model_can_be_looked_at() {
        let (status, text) = answer("/model", &served());
        assert!(
            status == 200 && text.starts_with("version v7\ndegree 2\ntrained-on 500\n"),
            "{text}"
        );
    }
}
