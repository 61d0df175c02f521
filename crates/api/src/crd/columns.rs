//! Columns that `kubectl get` prints (placement-api 1.2, networking 3.1, multicluster-failover B.2).

use serde_json::{Value, json};

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    name: String,
    path: String,
    kind: &'static str,
    wide: bool,
}

impl Column {
    /// A column of texts.
    pub fn text(name: &str, path: &str) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
            kind: "string",
            wide: false,
        }
    }

    /// A column of times.
    pub fn date(name: &str, path: &str) -> Self {
        Self {
            kind: "date",
            ..Self::text(name, path)
        }
    }

    /// A column of integers.
    pub fn integer(name: &str, path: &str) -> Self {
        Self {
            kind: "integer",
            ..Self::text(name, path)
        }
    }

    /// A column of booleans.
    pub fn boolean(name: &str, path: &str) -> Self {
        Self {
            kind: "boolean",
            ..Self::text(name, path)
        }
    }

    /// Age of the object.
    pub fn age() -> Self {
        Self::date("Age", ".metadata.creationTimestamp")
    }

    /// Generation of the object.
    pub fn generation() -> Self {
        Self::text("Gen", ".metadata.generation")
    }

    /// Status of a condition.
    pub fn condition(name: &str, type_: &str) -> Self {
        Self::text(name, &format!(".status.conditions[?(@.type==\"{type_}\")].status"))
    }

    /// Observed generation of a condition.
    pub fn observed(name: &str, type_: &str) -> Self {
        Self::text(
            name,
            &format!(".status.conditions[?(@.type==\"{type_}\")].observedGeneration"),
        )
    }

    /// Shown by `-o wide` only.
    pub fn wide(self) -> Self {
        Self { wide: true, ..self }
    }

    /// The column as it stands in a CRD.
    pub fn object(&self) -> Value {
        let mut object = json!({ "jsonPath": self.path, "name": self.name, "type": self.kind });
        if self.wide {
            object["priority"] = json!(1);
        }
        object
    }
}
