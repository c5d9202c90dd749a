//! The weather as a visitor writes it: `wind=7.5&waves=0.4&visibility=9`.

use crate::crossing::Weather;

pub fn of(Weather { wind, waves, visibility }: &Weather) -> String {
    format!("wind={wind}&waves={waves}&visibility={visibility}")
}

/// # Errors
/// Names what is missing, is no number or is not known.
pub fn parse(query: &str) -> Result<Weather, String> {
    let [mut wind, mut waves, mut visibility] = [None; 3];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let number: Option<f64> = value.parse().ok();
        let number = number.filter(|it| it.is_finite());
        let number = number.ok_or_else(|| format!("{name}: {value:?} is not a number"))?;
        match name {
            "wind" => wind = Some(number),
            "waves" => waves = Some(number),
            "visibility" => visibility = Some(number),
            _ => return Err(format!("{name}: not known here")),
        }
    }
    let given = |value: Option<f64>, what: &str| value.ok_or_else(|| format!("{what} is missing"));
    Ok(Weather {
        wind: given(wind, "wind (m/s)")?,
        waves: given(waves, "waves (m)")?,
        visibility: given(visibility, "visibility (km)")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_understood() {
        let weather = Weather { wind: 7.5, waves: 0.4, visibility: 9.0 };
        assert_eq!(parse(&of(&weather)), Ok(weather));
        assert_eq!(parse("visibility=9&&waves=0.4&wind=7.5"), Ok(weather));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |query: &str, expect: &str| assert_eq!(parse(query).unwrap_err(), expect);
        check("", "wind (m/s) is missing");
        check("wind=7", "waves (m) is missing");
        check("wind=7&waves=1", "visibility (km) is missing");
        check("wind=fresh", "wind: \"fresh\" is not a number");
        check("wind=inf", "wind: \"inf\" is not a number");
        check("tide=1", "tide: not known here");
    }
}
