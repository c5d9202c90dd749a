//! The claim's directory, which all programs share.
//!
//! ```text
//! crossings/train.csv, validate.csv, test.csv   to learn from, to choose by, to report with
//! candidates/degree-N                           what training left
//! models/v1, v2, …                              what may be served; never changed once it is there
//! ```
//!
//! Each file appears whole: it is written aside and renamed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::crossing::{self, Crossing, HEADER};
use crate::model::Model;

/// What crossings are for. A model that was chosen because it did well on some would look better on those than
/// it is, so each use has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Train,
    Validate,
    Test,
}

/// Where the claim is mounted.
#[derive(Debug, Clone)]
pub struct Store(PathBuf);

impl Store {
    /// At `/data`, where all manifests mount it.
    pub fn mounted() -> Self {
        Self(PathBuf::from("/data"))
    }

    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// # Errors
    /// If the file is there and cannot be understood. None is an empty one.
    pub fn crossings(&self, for_: Use) -> Result<Vec<Crossing>, String> {
        let path = self.crossings_file(for_);
        match fs::read_to_string(&path) {
            Ok(text) => crossing::parse(&text).map_err(|why| told(&path, why)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(told(&path, error)),
        }
    }

    pub fn put_crossings(&self, for_: Use, crossings: &[Crossing]) -> Result<(), String> {
        let mut text = format!("{HEADER}\n");
        crossings.iter().for_each(|it| text.push_str(&format!("{it}\n")));
        put(&self.crossings_file(for_), &text)
    }

    fn crossings_file(&self, for_: Use) -> PathBuf {
        let name = match for_ {
            Use::Train => "train.csv",
            Use::Validate => "validate.csv",
            Use::Test => "test.csv",
        };
        self.0.join("crossings").join(name)
    }

    pub fn put_candidate(&self, model: &Model) -> Result<(), String> {
        put(&self.0.join(format!("candidates/degree-{}", model.degree)), &model.to_string())
    }

    /// In the order of their degrees.
    pub fn candidates(&self) -> Result<Vec<Model>, String> {
        let numbers = numbers(&self.0.join("candidates"), "degree-")?;
        numbers
            .iter()
            .map(|degree| read(&self.0.join(format!("candidates/degree-{degree}"))))
            .collect()
    }

    /// # Errors
    /// If there is no such version, or what is there is no model.
    pub fn model(&self, version: &str) -> Result<Model, String> {
        match version.strip_prefix('v').and_then(|number| number.parse().ok()) {
            Some(number) => read(&self.models_file(number)),
            None => Err(format!("{version:?} is not a version, such as v1")),
        }
    }

    /// The number and the model that were published last.
    pub fn latest(&self) -> Result<Option<(u32, Model)>, String> {
        let Some(number) = numbers(&self.0.join("models"), "v")?.pop() else { return Ok(None) };
        Ok(Some((number, read(&self.models_file(number))?)))
    }

    /// Makes the model the next version; answers its number. Two at once would get one number: the manifests see
    /// to it that there is one at a time.
    pub fn publish(&self, model: &Model) -> Result<u32, String> {
        let last = self.latest()?.map_or(0, |(number, _)| number);
        put(&self.models_file(last + 1), &model.to_string())?;
        Ok(last + 1)
    }

    fn models_file(&self, number: u32) -> PathBuf {
        self.0.join(format!("models/v{number}"))
    }
}

/// Those N for which there is a file `<prefix>N`, in order.
fn numbers(directory: &Path, prefix: &str) -> Result<Vec<u32>, String> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| told(directory, error))?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| told(directory, error))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(prefix));
        numbers.extend(number.and_then(|it| it.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn read(path: &Path) -> Result<Model, String> {
    let text = fs::read_to_string(path).map_err(|error| told(path, error))?;
    text.parse().map_err(|why: String| told(path, why))
}

fn put(path: &Path, text: &str) -> Result<(), String> {
    let directory = path.parent().unwrap_or(path);
    fs::create_dir_all(directory).map_err(|error| told(directory, error))?;
    let aside = path.with_extension("partial");
    fs::write(&aside, text).map_err(|error| told(&aside, error))?;
    fs::rename(&aside, path).map_err(|error| told(path, error))
}

fn told(path: &Path, why: impl std::fmt::Display) -> String {
    format!("{}: {why}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::fit;
    use crate::random::Random;

    /// A directory that is gone after the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("mlops-{name}-{}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn crossings() -> Vec<Crossing> {
        let mut random = Random::new(1);
        (0..50).map(|_| Crossing::random(&mut random)).collect()
    }

    #[test]
    fn crossings_are_kept_apart_by_what_they_are_for() {
        let scratch = Scratch::new("crossings");
        let store = Store::at(&scratch.0);
        assert_eq!(store.crossings(Use::Train), Ok(Vec::new()));
        store.put_crossings(Use::Train, &crossings()).unwrap();
        store.put_crossings(Use::Test, &crossings()[..7]).unwrap();
        assert_eq!(store.crossings(Use::Train).unwrap(), crossings());
        assert_eq!(store.crossings(Use::Test).unwrap().len(), 7);
        assert_eq!(store.crossings(Use::Validate), Ok(Vec::new()));
    }

    #[test]
    fn versions_are_counted_and_never_change() {
        let scratch = Scratch::new("versions");
        let store = Store::at(&scratch.0);
        assert_eq!(store.latest(), Ok(None));
        let models = [1, 2].map(|degree| fit(degree, &crossings()).unwrap());
        assert_eq!(models.each_ref().map(|model| store.publish(model).unwrap()), [1, 2]);
        assert_eq!(store.model("v1").as_ref(), Ok(&models[0]));
        assert_eq!(store.latest(), Ok(Some((2, models[1].clone()))));
        let check = |version: &str, expect: &str| {
            let error = store.model(version).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check("v3", "models/v3: No such file");
        check("../v1", "\"../v1\" is not a version, such as v1");
    }

    #[test]
    fn candidates_come_by_degree_and_what_is_written_still_does_not_count() {
        let scratch = Scratch::new("candidates");
        let store = Store::at(&scratch.0);
        assert_eq!(store.candidates(), Ok(Vec::new()));
        for degree in [2, 1] {
            store.put_candidate(&fit(degree, &crossings()).unwrap()).unwrap();
        }
        fs::write(scratch.0.join("candidates/degree-3.partial"), "degree 3\n").unwrap();
        let degrees: Vec<u32> = store.candidates().unwrap().iter().map(|it| it.degree).collect();
        assert_eq!(degrees, [1, 2]);
        fs::write(scratch.0.join("candidates/degree-3"), "degree 3\n").unwrap();
        let error = store.candidates().unwrap_err();
        assert!(
            error.ends_with("degree-3: not a model: no trained-on where it should be"),
            "{error}"
        );
    }
}
