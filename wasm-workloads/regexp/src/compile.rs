//! Makes a program of a tree: steps that read a character or go on elsewhere.

use memchr::memmem::Finder;

use crate::parse::{Assertion, Tree};
use crate::set::Set;

#[derive(Debug, Clone)]
pub enum Step {
    Byte(u8),
    Any,
    Set(Box<Set>),
    Assert(Assertion),
    /// The text of a group again.
    Same(usize),
    /// Notes the place.
    Save(usize),
    /// Both ways, the first one first. Numbered, for the search to know where it has been.
    Split {
        number: usize,
        first: usize,
        second: usize,
    },
    Go(usize),
    /// Goes on only if the place has changed since it was noted in this slot: a loop must move.
    Moved(usize),
    Match,
}

#[derive(Debug)]
pub struct Program {
    pub steps: Vec<Step>,
    pub groups: usize,
    /// Slots for groups, two each, and for loops.
    pub slots: usize,
    pub splits: usize,
    pub fold: bool,
    pub has_same: bool,
    /// Whether it can match only at the very start.
    pub anchored: bool,
    /// What every match begins with; nothing if that is not known.
    pub prefix: Option<Finder<'static>>,
    /// Whether the prefix is all.
    pub is_literal: bool,
    /// Bytes a match can begin with; `None` if it can be empty.
    pub first: Option<Box<[bool; 256]>>,
}

/// Repetitions are written out; what is longer than this is no expression but an attack.
const STEPS_MAX: usize = 1 << 16;

pub fn compile(tree: &Tree, fold: bool) -> Result<Program, &'static str> {
    let groups = groups(tree);
    let mut compiler = Compiler { steps: Vec::new(), slots: 2 * groups, splits: 0, fold };
    compiler.emit(tree)?;
    compiler.push(Step::Match)?;
    let Compiler { steps, slots, splits, .. } = compiler;
    let is_save = |step: &&Step| matches!(step, Step::Save(_));
    let beginning = || steps.iter().skip_while(is_save);
    let prefix: Vec<u8> = steps
        .iter()
        .filter(|step| !is_save(step))
        .map_while(|step| if let Step::Byte(byte) = step { Some(*byte) } else { None })
        .collect();
    Ok(Program {
        anchored: matches!(beginning().next(), Some(Step::Assert(Assertion::Start))),
        is_literal: !prefix.is_empty() && prefix.len() + 1 == steps.len(),
        prefix: (!prefix.is_empty()).then(|| Finder::new(&prefix).into_owned()),
        first: first_bytes(&steps),
        has_same: steps.iter().any(|step| matches!(step, Step::Same(_))),
        steps,
        groups,
        slots,
        splits,
        fold,
    })
}

fn groups(tree: &Tree) -> usize {
    match tree {
        Tree::Group(number, inner) => groups(inner).max(*number),
        Tree::Sequence(trees) | Tree::Either(trees) => trees.iter().map(groups).max().unwrap_or(0),
        Tree::Repeat { what, .. } => groups(what),
        _ => 0,
    }
}

struct Compiler {
    steps: Vec<Step>,
    slots: usize,
    splits: usize,
    fold: bool,
}

impl Compiler {
    fn push(&mut self, step: Step) -> Result<usize, &'static str> {
        if self.steps.len() >= STEPS_MAX {
            return Err("Regular expression too big");
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    /// A split whose first way is the next step; its second is set later.
    fn split(&mut self) -> Result<usize, &'static str> {
        let (number, first) = (self.splits, self.steps.len() + 1);
        self.splits += 1;
        self.push(Step::Split { number, first, second: 0 })
    }

    /// Makes the split or jump at `at` lead to the next step.
    fn land(&mut self, at: usize) {
        let here = self.steps.len();
        match &mut self.steps[at] {
            Step::Split { second, .. } => *second = here,
            Step::Go(target) => *target = here,
            _ => {}
        }
    }

    fn emit(&mut self, tree: &Tree) -> Result<(), &'static str> {
        match tree {
            Tree::Empty => {}
            Tree::Char(c) => self.character(*c)?,
            Tree::Any => drop(self.push(Step::Any)?),
            Tree::Set(set) => self.set(set.clone())?,
            Tree::Assert(assertion) => drop(self.push(Step::Assert(*assertion))?),
            Tree::Same(group) => drop(self.push(Step::Same(*group))?),
            Tree::Group(number, inner) => {
                self.push(Step::Save(2 * (number - 1)))?;
                self.emit(inner)?;
                self.push(Step::Save(2 * (number - 1) + 1))?;
            }
            Tree::Sequence(trees) => {
                for tree in trees {
                    self.emit(tree)?;
                }
            }
            Tree::Either(trees) => self.either(trees)?,
            Tree::Repeat { what, least, most } => self.repeat(what, *least, *most)?,
        }
        Ok(())
    }

    fn character(&mut self, c: char) -> Result<(), &'static str> {
        let has_case = c.to_lowercase().chain(c.to_uppercase()).any(|other| other != c);
        if self.fold && has_case {
            return self.set(Set::one(c));
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            self.push(Step::Byte(byte))?;
        }
        Ok(())
    }

    fn set(&mut self, mut set: Set) -> Result<(), &'static str> {
        if self.fold {
            set.fold();
        }
        self.push(Step::Set(Box::new(set))).map(|_| ())
    }

    fn either(&mut self, trees: &[Tree]) -> Result<(), &'static str> {
        let Some((last, others)) = trees.split_last() else { return Ok(()) };
        let mut ends = Vec::new();
        for tree in others {
            let split = self.split()?;
            self.emit(tree)?;
            ends.push(self.push(Step::Go(0))?);
            self.land(split);
        }
        self.emit(last)?;
        ends.into_iter().for_each(|end| self.land(end));
        Ok(())
    }

    fn repeat(&mut self, what: &Tree, least: u32, most: Option<u32>) -> Result<(), &'static str> {
        for _ in 0..least {
            self.emit(what)?;
        }
        match most {
            None => {
                let slot = self.slots;
                self.slots += usize::from(may_be_empty(what));
                let split = self.split()?;
                if may_be_empty(what) {
                    self.push(Step::Save(slot))?;
                    self.emit(what)?;
                    self.push(Step::Moved(slot))?;
                } else {
                    self.emit(what)?;
                }
                self.push(Step::Go(split))?;
                self.land(split);
            }
            Some(most) => {
                let mut splits = Vec::new();
                for _ in least..most {
                    splits.push(self.split()?);
                    self.emit(what)?;
                }
                splits.into_iter().for_each(|split| self.land(split));
            }
        }
        Ok(())
    }
}

fn may_be_empty(tree: &Tree) -> bool {
    match tree {
        Tree::Char(_) | Tree::Any | Tree::Set(_) => false,
        Tree::Empty | Tree::Assert(_) | Tree::Same(_) => true,
        Tree::Group(_, inner) => may_be_empty(inner),
        Tree::Sequence(trees) => trees.iter().all(may_be_empty),
        Tree::Either(trees) => trees.iter().any(may_be_empty),
        Tree::Repeat { what, least, .. } => *least == 0 || may_be_empty(what),
    }
}

fn first_bytes(steps: &[Step]) -> Option<Box<[bool; 256]>> {
    let mut first = Box::new([false; 256]);
    let (mut seen, mut waiting) = (vec![false; steps.len()], vec![0]);
    while let Some(at) = waiting.pop() {
        if std::mem::replace(&mut seen[at], true) {
            continue;
        }
        match &steps[at] {
            Step::Byte(byte) => first[usize::from(*byte)] = true,
            Step::Set(set) => {
                (0..128_u8).for_each(|b| first[usize::from(b)] |= set.holds(Some(char::from(b))));
                first[128..].fill(true);
            }
            Step::Split { first, second, .. } => waiting.extend([*first, *second]),
            Step::Go(target) => waiting.push(*target),
            Step::Save(_) | Step::Assert(_) | Step::Moved(_) => waiting.push(at + 1),
            Step::Any | Step::Same(_) | Step::Match => return None,
        }
    }
    Some(first)
}
