//! `factor`.

use std::io::{Read, stdin};

use crate::call::{Call, Done, Failure, print, reason};

pub fn factor(call: &Call) -> Done {
    let mut words = call.arguments().to_vec();
    if words.is_empty() {
        let mut text = String::new();
        let read = stdin().read_to_string(&mut text);
        read.map_err(|err| Failure::Message(reason(&err)))?;
        words = text.split_whitespace().map(str::to_owned).collect();
    }
    for word in words {
        let number = word.trim().parse().map_err(|_| Failure::usage())?;
        let primes: String = primes(number).iter().map(|prime| format!(" {prime}")).collect();
        print(format!("{number}:{primes}\n"))?;
    }
    Ok(0)
}

/// By trial of 2, 3 and every number beside a multiple of 6.
fn primes(mut rest: u64) -> Vec<u64> {
    let mut found = Vec::new();
    let candidates = (6..=u64::MAX).step_by(6).flat_map(|n| [n - 1, n + 1]);
    for candidate in [2, 3].into_iter().chain(candidates) {
        if rest < 2 || candidate > rest / candidate {
            break;
        }
        while rest.is_multiple_of(candidate) {
            found.push(candidate);
            rest /= candidate;
        }
    }
    found.extend((rest > 1).then_some(rest));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_products_of_their_primes() {
        let check = |number, expect: &[u64]| assert_eq!(primes(number), expect, "{number}");
        check(0, &[]);
        check(1, &[]);
        check(2, &[2]);
        check(25, &[5, 5]);
        check(12, &[2, 2, 3]);
        check(u64::MAX, &[3, 5, 17, 257, 641, 65537, 6_700_417]);
    }
}
