//! `collect N`: adds N crossings to those that can be trained on, as if a season had gone by. The first time
//! it also puts some apart: to choose by, and to test with.

use harbour::crossing::Crossing;
use harbour::random::Random;
use harbour::store::{Store, Use};

const VALIDATE_ROWS: usize = 500;
const TEST_ROWS: usize = 1000;

fn main() -> Result<(), String> {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let count = count.ok_or("how many crossings? collect N")?;
    let store = Store::mounted();
    let mut rows = store.crossings(Use::Train)?;
    if rows.is_empty() {
        store.put_crossings(Use::Validate, &season(1, VALIDATE_ROWS))?;
        store.put_crossings(Use::Test, &season(2, TEST_ROWS))?;
    }
    // No season is like another, and each can be repeated.
    rows.extend(season(3 + rows.len() as u64, count));
    store.put_crossings(Use::Train, &rows)?;
    let rows = rows.len();
    println!(
        "{count} more crossings: {rows} to train on, {VALIDATE_ROWS} to choose by, {TEST_ROWS} to test with"
    );
    Ok(())
}

fn season(seed: u64, count: usize) -> Vec<Crossing> {
    let mut random = Random::new(seed);
    (0..count).map(|_| Crossing::random(&mut random)).collect()
}
