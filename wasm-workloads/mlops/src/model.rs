//! Logistic regression on a polynomial of the weather: how likely it is that a boat sails.

use std::fmt;
use std::str::FromStr;

use crate::crossing::{Crossing, Weather, sigmoid};

/// What is measured.
pub const INPUTS: usize = 3;
/// Bound: terms grow with its third power; no use was seen for more.
pub const DEGREE_MAX: u32 = 8;

/// A trained model. As text, one property a line: `cat` shows all there is to know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub degree: u32,
    /// How many crossings it was trained on.
    pub rows: usize,
    /// Brings each input to mean 0 and deviation 1, so that no power of one drowns the others.
    pub scales: [Scale; INPUTS],
    /// One for each of [`terms`].
    pub weights: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    pub mean: f64,
    pub deviation: f64,
}

/// How well a model does on crossings that it was not trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// The share it was right about, if "more likely than not" is a yes.
    pub accuracy: f64,
    /// Mean of -ln(probability of what happened): also tells certainty that was misplaced. Less is better.
    pub loss: f64,
}

impl Model {
    /// The probability that a boat sails in this weather.
    pub fn predict(&self, weather: &Weather) -> f64 {
        sigmoid(self.score(weather))
    }

    fn score(&self, weather: &Weather) -> f64 {
        let terms = terms(self.degree, &scaled(&self.scales, weather));
        terms.iter().zip(&self.weights).map(|(term, weight)| term * weight).sum()
    }

    pub fn judge(&self, crossings: &[Crossing]) -> Judgement {
        let (mut right, mut loss) = (0, 0.0);
        for crossing in crossings {
            // As the logarithm of a sigmoid, but finite also where the sigmoid is 0.
            let score = self.score(&crossing.weather);
            let towards = if crossing.sailed { score } else { -score };
            right += usize::from(towards > 0.0);
            loss += (-towards.abs()).exp().ln_1p() + (-towards).max(0.0);
        }
        let count = crossings.len().max(1) as f64;
        Judgement { accuracy: right as f64 / count, loss: loss / count }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} % (loss {:.3})", self.accuracy * 100.0, self.loss)
    }
}

pub(crate) fn scaled(scales: &[Scale; INPUTS], weather: &Weather) -> [f64; INPUTS] {
    let inputs = [weather.wind, weather.waves, weather.visibility];
    std::array::from_fn(|at| (inputs[at] - scales[at].mean) / scales[at].deviation)
}

/// All products of the inputs with at most `degree` factors, 1 among them: for (a, b, c) and 2 these are
/// 1, c, cc, b, bc, bb, a, ac, ab, aa.
pub(crate) fn terms(degree: u32, [a, b, c]: &[f64; INPUTS]) -> Vec<f64> {
    let mut terms = Vec::new();
    let mut of_a = 1.0;
    for left in (0..=degree).rev() {
        let mut of_b = of_a;
        for left in (0..=left).rev() {
            let mut of_c = of_b;
            for _ in 0..=left {
                terms.push(of_c);
                of_c *= c;
            }
            of_b *= b;
        }
        of_a *= a;
    }
    terms
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "degree {}", self.degree)?;
        writeln!(f, "trained-on {}", self.rows)?;
        for Scale { mean, deviation } in &self.scales {
            writeln!(f, "scale {mean} {deviation}")?;
        }
        self.weights.iter().try_for_each(|weight| writeln!(f, "weight {weight}"))
    }
}

impl FromStr for Model {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let mut property = |name: &str| {
            let line = lines.next()?;
            line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned)
        };
        let missing = |name: &str| format!("not a model: no {name} where it should be");
        let degree = property("degree").and_then(|it| it.parse().ok());
        let degree = degree.filter(|it| *it <= DEGREE_MAX).ok_or_else(|| missing("degree"))?;
        let rows = property("trained-on").and_then(|it| it.parse().ok());
        let rows = rows.ok_or_else(|| missing("trained-on"))?;
        let mut scale = || {
            let text = property("scale").ok_or_else(|| missing("scale"))?;
            let pair = text.split_once(' ').ok_or_else(|| missing("scale"))?;
            let (mean, deviation) = (number(pair.0)?, number(pair.1)?);
            if deviation > 0.0 { Ok(Scale { mean, deviation }) } else { Err(missing("scale")) }
        };
        let scales = [scale()?, scale()?, scale()?];
        let mut weights = Vec::new();
        for _ in terms(degree, &[0.0; INPUTS]) {
            weights.push(number(&property("weight").ok_or_else(|| missing("weight"))?)?);
        }
        match lines.next() {
            None => Ok(Self { degree, rows, scales, weights }),
            Some(more) => Err(format!("not a model: {more:?} after its last weight")),
        }
    }
}

fn number(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number.filter(|it| it.is_finite()).ok_or_else(|| format!("not a model: {text:?} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        let scale = Scale { mean: 1.0, deviation: 2.0 };
        Model { degree: 1, rows: 10, scales: [scale; INPUTS], weights: vec![0.5, 0.0, -1.0, 0.25] }
    }

    #[test]
    fn terms_are_all_products_up_to_a_degree() {
        let counts = [0, 1, 2, 3, 6].map(|degree| terms(degree, &[1.0; INPUTS]).len());
        assert_eq!(counts, [1, 4, 10, 20, 84]);
        let expect = [1.0, 5.0, 25.0, 3.0, 15.0, 9.0, 2.0, 10.0, 6.0, 4.0];
        assert_eq!(terms(2, &[2.0, 3.0, 5.0]), expect);
    }

    #[test]
    fn a_prediction_is_the_sigmoid_of_the_weighted_terms() {
        // Scaled: 2, 0, -1. 0.5 + 0.25 * 2 (a) - 1.0 * 0 (b) + 0 * -1 (c) = 1.
        let weather = Weather { wind: 5.0, waves: 1.0, visibility: -1.0 };
        assert!((model().predict(&weather) - 0.731_058_578_630_004_9).abs() < 1e-12);
    }

    #[test]
    fn a_judgement_counts_and_weighs() {
        let weather = Weather { wind: 5.0, waves: 1.0, visibility: -1.0 };
        let crossings = [true, true, true, false].map(|sailed| Crossing { weather, sailed });
        let judgement = model().judge(&crossings);
        let loss = -(3.0 * sigmoid(1.0).ln() + sigmoid(-1.0).ln()) / 4.0;
        assert!((judgement.loss - loss).abs() < 1e-12);
        assert_eq!(judgement.to_string(), format!("75.0 % (loss {loss:.3})"));
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let text = model().to_string();
        assert_eq!(text.parse(), Ok(model()));
        let check = |text: &str, expect: &str| {
            assert_eq!(text.parse::<Model>().unwrap_err(), format!("not a model: {expect}"));
        };
        check("", "no degree where it should be");
        check(&text.replace("degree 1", "degree 9"), "no degree where it should be");
        check(&text.replace("scale 1 2", "scale 1 0"), "no scale where it should be");
        check(&text.replace("0.25", "NaN"), "\"NaN\" is no number");
        check(&text.replace("weight 0.25\n", ""), "no weight where it should be");
        check(&format!("{text}weight 1\n"), "\"weight 1\" after its last weight");
    }
}
