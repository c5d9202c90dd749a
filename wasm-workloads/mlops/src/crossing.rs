//! What is known of a crossing: the weather, and whether the boat sailed. As a row of a CSV file too.

use std::fmt;
use std::str::FromStr;

use crate::random::Random;

pub const HEADER: &str = "wind,waves,visibility,sailed";

/// The harbour's weather.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weather {
    /// Metres per second.
    pub wind: f64,
    /// Their height in metres.
    pub waves: f64,
    /// Kilometres.
    pub visibility: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crossing {
    pub weather: Weather,
    pub sailed: bool,
}

impl Weather {
    pub fn random(random: &mut Random) -> Self {
        // Wind is spread as a Weibull distribution of shape 2 is; it makes the waves, and blows the fog away.
        let wind = 8.5 * (-(1.0 - random.unit()).ln()).sqrt();
        let waves = (0.009 * wind * wind + 0.3 + 0.25 * random.normal()).max(0.0);
        let visibility = (16.0 * random.unit().sqrt() + 0.2 * wind - 3.0).clamp(0.1, 20.0);
        let tenths = |value: f64| (value * 10.0).round() / 10.0;
        Self { wind: tenths(wind), waves: tenths(waves), visibility: tenths(visibility) }
    }

    /// The truth that the model has to find out: too little wind carries no sail and too much breaks it, high
    /// waves are worse the more it blows, and in fog nobody leaves.
    fn inclination(&self) -> f64 {
        let lull = 9.0 * (-self.wind / 2.0).exp();
        let storm = 2.5 * ((self.wind - 10.5) / 2.0).exp().min(4.0);
        let swell = 1.2 * self.waves * (self.wind / 6.0);
        let fog = 5.0 * (-self.visibility / 2.5).exp();
        3.4 - lull - storm - swell - fog
    }
}

impl Crossing {
    /// A crossing as it may have been: the same weather does not always end in the same way.
    pub fn random(random: &mut Random) -> Self {
        let weather = Weather::random(random);
        let sailed = random.unit() < sigmoid(3.0 * weather.inclination());
        Self { weather, sailed }
    }
}

/// From any number to a probability.
pub fn sigmoid(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}

impl fmt::Display for Crossing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Weather { wind, waves, visibility } = self.weather;
        write!(f, "{wind},{waves},{visibility},{}", u8::from(self.sailed))
    }
}

impl FromStr for Crossing {
    type Err = String;

    fn from_str(row: &str) -> Result<Self, String> {
        let bad = || format!("{row:?} is not {HEADER}");
        let mut columns = row.split(',');
        let mut column = || columns.next().ok_or_else(bad);
        let mut number = || column()?.parse::<f64>().map_err(|_| bad());
        let weather = Weather { wind: number()?, waves: number()?, visibility: number()? };
        let sailed = match column()? {
            "0" => false,
            "1" => true,
            _ => return Err(bad()),
        };
        if columns.next().is_some() {
            return Err(bad());
        }
        Ok(Self { weather, sailed })
    }
}

/// The rows of a CSV file, whose first line is [`HEADER`].
pub fn parse(text: &str) -> Result<Vec<Crossing>, String> {
    let mut lines = text.lines();
    match lines.next() {
        Some(HEADER) => lines.map(str::parse).collect(),
        _ => Err(format!("the first line is not {HEADER}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_were_written() {
        let mut random = Random::new(3);
        for _ in 0..100 {
            let crossing = Crossing::random(&mut random);
            assert_eq!(crossing.to_string().parse(), Ok(crossing));
        }
        let text = "wind,waves,visibility,sailed\n3.5,0.2,10,0\n7,0.5,9.1,1\n";
        assert_eq!(parse(text).unwrap().iter().filter(|it| it.sailed).count(), 1);
    }

    #[test]
    fn what_is_no_row_is_told() {
        let check = |row: &str| {
            let error = row.parse::<Crossing>().unwrap_err();
            assert_eq!(error, format!("{row:?} is not {HEADER}"));
        };
        ["", "1,2,3", "1,2,3,4", "1,2,three,1", "1,2,3,1,1"].into_iter().for_each(check);
        assert_eq!(parse("1,2,3,1\n").unwrap_err(), format!("the first line is not {HEADER}"));
    }

    #[test]
    fn the_weather_decides_but_not_alone() {
        let mut random = Random::new(5);
        let all: Vec<Crossing> = (0..2000).map(|_| Crossing::random(&mut random)).collect();
        let share = |rows: &mut dyn Iterator<Item = &Crossing>| {
            let (sailed, all) =
                rows.fold((0, 0), |(sailed, all), it| (sailed + i32::from(it.sailed), all + 1));
            f64::from(sailed) / f64::from(all)
        };
        assert!((0.35..0.65).contains(&share(&mut all.iter())));
        let lulls = share(&mut all.iter().filter(|it| it.weather.wind < 2.0));
        let breezes = share(&mut all.iter().filter(|it| (6.0..8.0).contains(&it.weather.wind)));
        let storms = share(&mut all.iter().filter(|it| it.weather.wind > 14.0));
        assert!(lulls < 0.2 && breezes > 0.6 && storms < 0.2, "{lulls} {breezes} {storms}");
        // Whoever knew the truth would be wrong at times, too.
        let right = all.iter().filter(|it| (it.weather.inclination() > 0.0) == it.sailed).count();
        assert!((1700..1980).contains(&right), "{right}");
    }
}
