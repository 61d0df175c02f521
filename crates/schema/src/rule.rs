//! One rule in CEL (`x-kubernetes-validations`): compiled once, evaluated per value.

use crate::error::{ErrorKind, FieldError, join};
use kube_cel::cel::{Context, ExecutionError, Program, Value as CelValue};
use serde_json::Value;
use std::fmt;

/// A rule of a schema.
pub(crate) struct Rule {
    source: String,
    program: Result<Program, String>,
    message: String,
    message_expression: Option<Program>,
    reason: ErrorKind,
    /// Appended to the path of the value.
    field_path: String,
    pub(crate) uses_old_self: bool,
    pub(crate) optional_old_self: bool,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rule").field(&self.source).finish()
    }
}

impl Rule {
    pub(crate) fn read(rule: &Value) -> Self {
        let text = |key: &str| rule[key].as_str().unwrap_or_default().trim().to_owned();
        let source = text("rule");
        let program = Program::compile(&source).map_err(|error| error.to_string());
        let uses_old_self = program
            .as_ref()
            .is_ok_and(|program| program.references().has_variable("oldSelf"));
        let message_expression = text("messageExpression");
        Self {
            uses_old_self,
            message: text("message"),
            message_expression: Program::compile(&message_expression)
                .ok()
                .filter(|_| !message_expression.is_empty()),
            reason: match text("reason").as_str() {
                "FieldValueForbidden" => ErrorKind::Forbidden,
                "FieldValueRequired" => ErrorKind::Required,
                "FieldValueDuplicate" => ErrorKind::Duplicate,
                _ => ErrorKind::Invalid,
            },
            field_path: text("fieldPath").trim_start_matches('.').to_owned(),
            optional_old_self: rule["optionalOldSelf"] == true,
            program,
            source,
        }
    }

    /// Why the rule does not compile, if it does not.
    pub(crate) fn compile_error(&self) -> Option<&str> {
        self.program.as_ref().err().map(String::as_str)
    }

    /// The error of the value that `scope` holds, if it breaks the rule. `kind` is the type that the schema gives.
    pub(crate) fn evaluate(&self, scope: &Context<'_>, path: &str, kind: &str) -> Option<FieldError> {
        let value = Value::String(kind.to_owned());
        let invalid = |detail: String| Some(FieldError::invalid(path, value.clone(), detail));
        let program = match &self.program {
            Ok(program) => program,
            Err(error) => return invalid(format!("rule compile error: {error}")),
        };
        match program.execute(scope) {
            Ok(CelValue::Bool(true)) => None,
            Ok(_) => {
                let path = if self.field_path.is_empty() {
                    path.to_owned()
                } else {
                    join(path, &self.field_path)
                };
                let value = if self.reason == ErrorKind::Required || self.reason == ErrorKind::Forbidden {
                    Value::Null
                } else {
                    value
                };
                Some(FieldError::new(self.reason, &path, value, self.text(scope)))
            }
            Err(ExecutionError::UndeclaredReference(name)) => {
                invalid(format!("rule compile error: undeclared reference to '{name}'"))
            }
            Err(error) => match plain(&error) {
                Some(text) => invalid(format!("{text} evaluating rule: {}", self.name())),
                None => invalid(format!(
                    "'no such overload': call arguments did not match a supported operator, function or macro signature for rule: {}",
                    self.name()
                )),
            },
        }
    }

    fn text(&self, scope: &Context<'_>) -> String {
        if let Some(program) = &self.message_expression
            && let Ok(CelValue::String(text)) = program.execute(scope)
            && !text.trim().is_empty()
            && !text.trim().contains('\n')
        {
            return text.trim().to_owned();
        }
        if self.message.is_empty() {
            format!("failed rule: {}", self.source)
        } else {
            self.message.clone()
        }
    }

    /// How errors name the rule.
    fn name(&self) -> &str {
        if self.message.is_empty() {
            &self.source
        } else {
            &self.message
        }
    }
}

/// The API server's text of an evaluation error; `None` where no operator or function fits the operands.
fn plain(error: &ExecutionError) -> Option<String> {
    match error {
        ExecutionError::NoSuchKey(key) => Some(format!("no such key: {key}")),
        ExecutionError::IndexOutOfBounds(CelValue::Int(index)) => Some(format!("index out of bounds: {index}")),
        ExecutionError::IndexOutOfBounds(_) => Some("index out of bounds".to_owned()),
        ExecutionError::DivisionByZero(_) => Some("division by zero".to_owned()),
        ExecutionError::RemainderByZero(_) => Some("modulus by zero".to_owned()),
        ExecutionError::Overflow(..) => Some("integer overflow".to_owned()),
        ExecutionError::FunctionError { message, .. } => Some(message.clone()),
        _ => None,
    }
}
