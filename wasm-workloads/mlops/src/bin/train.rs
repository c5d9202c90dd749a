//! `train`: one candidate, of the degree that the Pod's place in its Job says (index 0: degree 1), or else of
//! the degree of the model that was published last.

use std::time::Instant;

use harbour::fit::fit;
use harbour::store::{Store, Use};

fn main() -> Result<(), String> {
    let store = Store::mounted();
    let degree = match std::env::var("JOB_COMPLETION_INDEX") {
        Ok(index) => 1 + index.parse::<u32>().map_err(|_| format!("no index: {index:?}"))?,
        Err(_) => store.latest()?.ok_or("no model has been published")?.1.degree,
    };
    let rows = store.crossings(Use::Train)?;
    let begin = Instant::now();
    let model = fit(degree, &rows)?;
    let took = begin.elapsed().as_millis();
    store.put_candidate(&model)?;
    let (known, others) = (model.judge(&rows), model.judge(&store.crossings(Use::Validate)?));
    let (weights, rows) = (model.weights.len(), rows.len());
    println!(
        "degree {degree}: {weights:2} weights in {took:3} ms; right about {:.1} % of the {rows} crossings it \
         learned from, {others} of others",
        known.accuracy * 100.0
    );
    Ok(())
}
