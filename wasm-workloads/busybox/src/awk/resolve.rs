//! Finds out which parameters are arrays, and whether every function that is called exists.

use super::program::{Expression, Program, Source, Statement, Variable};

/// # Errors
/// A function that is called is not defined, or gets too much.
pub fn resolve(mut program: Program) -> Result<Program, String> {
    if let Some(function) = program.functions.iter().find(|function| function.arrays.is_empty()) {
        return Err(format!("undefined function '{}'", function.name));
    }
    // An array handed on makes a parameter an array as well: until nothing changes.
    let mut arrays: Vec<Vec<bool>> =
        program.functions.iter().map(|function| function.arrays.clone()).collect();
    loop {
        let before = arrays.clone();
        for (place, function) in program.functions.iter().enumerate() {
            let mut found = Vec::new();
            let mut visit = Visit { arrays: &before, found: &mut found };
            function.body.iter().for_each(|statement| visit.statement(statement));
            for parameter in found {
                if let Some(known) = arrays[place].get_mut(parameter) {
                    *known = true;
                }
            }
        }
        if arrays == before {
            break;
        }
    }
    for (function, arrays) in program.functions.iter_mut().zip(arrays) {
        function.arrays = arrays;
    }
    Ok(program)
}

struct Visit<'a> {
    arrays: &'a [Vec<bool>],
    /// Parameters that are used as arrays.
    found: &'a mut Vec<usize>,
}

impl Visit<'_> {
    fn array(&mut self, variable: Variable) {
        if let Variable::Local(place) = variable {
            self.found.push(place);
        }
    }

    fn all(&mut self, expressions: &[Expression]) {
        expressions.iter().for_each(|expression| self.expression(expression));
    }

    fn block(&mut self, statements: &[Statement]) {
        statements.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Expression(expression) => self.expression(expression),
            Statement::Print { arguments, to } | Statement::Printf { arguments, to } => {
                self.all(arguments);
                to.iter().for_each(|(_, target)| self.expression(target));
            }
            Statement::If(condition, yes, no) => {
                self.expression(condition);
                self.statement(yes);
                no.iter().for_each(|no| self.statement(no));
            }
            Statement::While(condition, body) | Statement::Do(body, condition) => {
                self.expression(condition);
                self.statement(body);
            }
            Statement::For(steps, condition, body) => {
                steps.iter().flatten().for_each(|step| self.statement(step));
                condition.iter().for_each(|condition| self.expression(condition));
                self.statement(body);
            }
            Statement::ForIn(_, array, body) => {
                self.array(*array);
                self.statement(body);
            }
            Statement::Block(statements) => self.block(statements),
            Statement::Exit(value) | Statement::Return(value) => {
                value.iter().for_each(|value| self.expression(value));
            }
            Statement::Delete(array, key) => {
                self.array(*array);
                key.iter().for_each(|key| self.all(key));
            }
            Statement::Next | Statement::NextFile | Statement::Break | Statement::Continue => {}
        }
    }

    fn expression(&mut self, expression: &Expression) {
        match expression {
            Expression::Constant(_) | Expression::Regexp(_) | Expression::Variable(_) => {}
            Expression::Field(inner)
            | Expression::Not(inner)
            | Expression::Negative(inner)
            | Expression::Number(inner)
            | Expression::Step { target: inner, .. } => self.expression(inner),
            Expression::Element(array, key) | Expression::In(key, array) => {
                self.array(*array);
                self.all(key);
            }
            Expression::Assign(left, right) | Expression::Update(_, left, right) => {
                self.expression(left);
                self.expression(right);
            }
            Expression::Choose(three) => self.all(&three[..]),
            Expression::And(two)
            | Expression::Or(two)
            | Expression::Join(two)
            | Expression::Arithmetic(_, two)
            | Expression::Compare(_, two)
            | Expression::Match { of: two, .. } => self.all(&two[..]),
            Expression::Call(function, arguments) => {
                for (place, argument) in arguments.iter().enumerate() {
                    match argument {
                        Expression::Variable(variable)
                            if self.arrays[*function].get(place) == Some(&true) =>
                        {
                            self.array(*variable);
                        }
                        argument => self.expression(argument),
                    }
                }
            }
            Expression::Function(name, arguments) => {
                let array = match *name {
                    "split" => arguments.get(1),
                    "match" => arguments.get(2),
                    _ => None,
                };
                if let Some(Expression::Variable(variable)) = array {
                    self.array(*variable);
                }
                self.all(arguments);
            }
            Expression::Getline { from, into } => {
                if let Source::File(inner) | Source::Command(inner) = from {
                    self.expression(inner);
                }
                into.iter().for_each(|into| self.expression(into));
            }
            Expression::List(list) => self.all(list),
        }
    }
}
