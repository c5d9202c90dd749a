//! `publish`: makes the best candidate the next version, unless the version before it is better still.

use harbour::model::Model;
use harbour::store::{Store, Use};

fn main() -> Result<(), String> {
    let store = Store::mounted();
    let validate = store.crossings(Use::Validate)?;
    let test = store.crossings(Use::Test)?;
    let candidates = store.candidates()?;
    let loss = |model: &Model| model.judge(&validate).loss;
    let best = candidates.iter().min_by(|one, other| loss(one).total_cmp(&loss(other)));
    let best = best.ok_or("there are no candidates")?;
    if let Some((number, latest)) = store.latest()? {
        let (was, is) = (latest.judge(&test), best.judge(&test));
        println!("v{number} is right about {was} of the test, the best candidate about {is}");
        if loss(best) >= loss(&latest) {
            println!("v{number} stays the best: nothing is published");
            return Ok(());
        }
    }
    let number = store.publish(best)?;
    let (degree, rows, tested) = (best.degree, best.rows, best.judge(&test));
    println!(
        "published v{number}: degree {degree}, learned from {rows} crossings; right about {tested} of the test"
    );
    Ok(())
}
