//! Training: the weights under which what happened is most likely, by Newton's method.

use crate::crossing::{Crossing, sigmoid};
use crate::model::{INPUTS, Model, Scale, scaled, terms};

/// Bound: a dozen are enough.
const STEPS_MAX: usize = 50;
/// Bound: a step that is still too long after so many halvings leads nowhere.
const HALVINGS_MAX: usize = 30;
/// A step that gains less, per crossing, is not worth another one.
const GAIN_MIN: f64 = 1e-9;
/// What a weight's square costs, so that terms which tell nothing get next to none.
const RIDGE: f64 = 0.05;

/// Trains a model of this degree.
///
/// # Errors
/// If there are no crossings, or one of the inputs is the same in all.
pub fn fit(degree: u32, crossings: &[Crossing]) -> Result<Model, String> {
    let scales = scales(crossings)?;
    let weights = vec![0.0; terms(degree, &[0.0; INPUTS]).len()];
    let mut model = Model { degree, rows: crossings.len(), scales, weights };
    let rows: Vec<Vec<f64>> =
        crossings.iter().map(|it| terms(degree, &scaled(&scales, &it.weather))).collect();
    for _ in 0..STEPS_MAX {
        let step =
            step(&rows, crossings, &model.weights).ok_or("the terms cannot be told apart")?;
        let before = cost(&model, crossings);
        // Far from the end a whole step may lead too far.
        let lengths = std::iter::successors(Some(1.0), |length| Some(length / 2.0));
        let mut nearer = lengths.take(HALVINGS_MAX).map(|length| model.moved(&step, length));
        match nearer.find(|it| before - cost(it, crossings) > GAIN_MIN) {
            Some(better) => model = better,
            None => break,
        }
    }
    Ok(model)
}

/// What training makes as small as it can, per crossing.
fn cost(model: &Model, crossings: &[Crossing]) -> f64 {
    let squares: f64 = model.weights.iter().map(|it| it * it).sum();
    model.judge(crossings).loss + RIDGE / 2.0 * squares / crossings.len() as f64
}

impl Model {
    fn moved(&self, step: &[f64], length: f64) -> Self {
        let weights = self.weights.iter().zip(step).map(|(it, step)| it + length * step).collect();
        Self { weights, ..self.clone() }
    }
}

fn scales(crossings: &[Crossing]) -> Result<[Scale; INPUTS], String> {
    let inputs: [fn(&Crossing) -> f64; INPUTS] =
        [|it| it.weather.wind, |it| it.weather.waves, |it| it.weather.visibility];
    let scales = inputs.map(|input| {
        let count = crossings.len() as f64;
        let mean = crossings.iter().map(input).sum::<f64>() / count;
        let square = crossings.iter().map(|it| (input(it) - mean).powi(2)).sum::<f64>() / count;
        Scale { mean, deviation: square.sqrt() }
    });
    match scales.iter().all(|it| it.deviation > 0.0) {
        true => Ok(scales),
        false => Err("there is nothing to learn from weather that never changes".to_owned()),
    }
}

/// The way from these weights to where the slope would be even, if the loss were a parabola: the solution of
/// curvature * step = slope.
fn step(rows: &[Vec<f64>], crossings: &[Crossing], weights: &[f64]) -> Option<Vec<f64>> {
    let size = weights.len();
    let mut slope: Vec<f64> = weights.iter().map(|weight| -RIDGE * weight).collect();
    let mut curvature = vec![vec![0.0; size]; size];
    for (at, row) in curvature.iter_mut().enumerate() {
        row[at] = RIDGE;
    }
    for (row, crossing) in rows.iter().zip(crossings) {
        let likely = sigmoid(row.iter().zip(weights).map(|(term, weight)| term * weight).sum());
        let error = f64::from(u8::from(crossing.sailed)) - likely;
        let sureness = likely * (1.0 - likely);
        for (at, term) in row.iter().enumerate() {
            slope[at] += error * term;
            // It is symmetric: the half below the diagonal is enough.
            for (entry, other) in curvature[at].iter_mut().zip(&row[..=at]) {
                *entry += sureness * term * other;
            }
        }
    }
    solve(curvature, slope)
}

/// Solves matrix * answer = right, for a symmetric positive definite matrix of which the lower half is given, by
/// Cholesky. `None` if it is none.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let size = right.len();
    for at in 0..size {
        let (above, below) = matrix.split_at_mut(at);
        let row = &mut below[0];
        for (column, other) in above.iter().enumerate() {
            row[column] = (row[column] - dot(&row[..column], &other[..column])) / other[column];
        }
        let square = row[at] - dot(&row[..at], &row[..at]);
        if square.is_nan() || square <= 0.0 {
            return None;
        }
        row[at] = square.sqrt();
        right[at] = (right[at] - dot(&row[..at], &right[..at])) / row[at];
    }
    for at in (0..size).rev() {
        let known: f64 = (at + 1..size).map(|below| matrix[below][at] * right[below]).sum();
        right[at] = (right[at] - known) / matrix[at][at];
    }
    Some(right)
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crossing::Weather;
    use crate::random::Random;

    fn season(seed: u64, rows: usize) -> Vec<Crossing> {
        let mut random = Random::new(seed);
        (0..rows).map(|_| Crossing::random(&mut random)).collect()
    }

    #[test]
    fn equations_are_solved() {
        let matrix = vec![vec![4.0, 0.0], vec![2.0, 3.0]];
        let answer = solve(matrix, vec![10.0, 9.0]).unwrap();
        assert!((answer[0] - 1.5).abs() < 1e-12 && (answer[1] - 2.0).abs() < 1e-12, "{answer:?}");
        assert_eq!(solve(vec![vec![1.0, 0.0], vec![1.0, 1.0]], vec![1.0, 1.0]), None);
    }

    #[test]
    fn at_the_end_there_is_no_way_further() {
        let crossings = season(1, 400);
        let model = fit(2, &crossings).unwrap();
        let rows: Vec<_> =
            crossings.iter().map(|it| terms(2, &scaled(&model.scales, &it.weather))).collect();
        let step = step(&rows, &crossings, &model.weights).unwrap();
        assert!(step.iter().all(|it| it.abs() < 1e-2), "{step:?}");
    }

    #[test]
    fn what_is_too_simple_does_not_see_it_and_what_is_too_rich_sees_what_is_not_there() {
        let (few, others) = (season(1, 200), season(2, 2000));
        let judged = [1, 2, 5].map(|degree| {
            let model = fit(degree, &few).unwrap();
            (model.judge(&few), model.judge(&others))
        });
        let [simple, right, rich] = judged;
        assert!(simple.1.accuracy < 0.85 && right.1.accuracy > 0.9, "{judged:?}");
        assert!(rich.0.loss < right.0.loss && rich.1.loss > right.1.loss, "{judged:?}");
    }

    #[test]
    fn more_crossings_make_a_better_model() {
        let others = season(2, 2000);
        let loss = |rows| fit(2, &season(1, rows)).unwrap().judge(&others).loss;
        assert!(loss(1500) < loss(150), "{} {}", loss(1500), loss(150));
    }

    #[test]
    fn nothing_is_learnt_from_nothing() {
        let text = "there is nothing to learn from weather that never changes";
        assert_eq!(fit(1, &[]).unwrap_err(), text);
        let weather = Weather { wind: 1.0, waves: 1.0, visibility: 1.0 };
        assert_eq!(fit(1, &[Crossing { weather, sailed: true }; 3]).unwrap_err(), text);
    }
}
