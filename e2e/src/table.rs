//! Prints objects as `kubectl get` does: the API server itself makes the table.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;
use serde::Deserialize;
use serde_json::Value;

const ACCEPT: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    column_definitions: Vec<Column>,
    #[serde(default)]
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Column {
    name: String,
    #[serde(default)]
    priority: i32,
}

#[derive(Debug, Deserialize)]
struct Row {
    cells: Vec<Value>,
    #[serde(default)]
    object: Value,
}

/// The table at a path such as `/api/v1/namespaces/a/services`, as text with aligned columns.
pub async fn render(client: &Client, path: &str) -> Result<String> {
    let request = http::Request::get(path)
        .header(http::header::ACCEPT, ACCEPT)
        .body(Vec::new())?;
    let answer = tokio::time::timeout(DEADLINE, client.request::<Table>(request))
        .await
        .context("no answer")?;
    let table = answer.with_context(|| format!("no table for {path}"))?;
    let namespaced = table.rows.iter().any(|row| !namespace(row).is_empty()) && !path.contains("/namespaces/");
    let shown: Vec<usize> = (0..table.column_definitions.len())
        .filter(|at| table.column_definitions[*at].priority == 0)
        .collect();
    let mut lines: Vec<Vec<String>> = Vec::new();
    let mut head: Vec<String> = shown
        .iter()
        .map(|at| table.column_definitions[*at].name.to_uppercase())
        .collect();
    if namespaced {
        head.insert(0, "NAMESPACE".to_owned());
    }
    lines.push(head);
    for row in &table.rows {
        let mut line: Vec<String> = shown
            .iter()
            .map(|at| row.cells.get(*at).map(cell).unwrap_or_default())
            .collect();
        if namespaced {
            line.insert(0, namespace(row).to_owned());
        }
        lines.push(line);
    }
    Ok(align(&lines))
}

fn namespace(row: &Row) -> &str {
    row.object
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "<none>".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Columns three blanks apart, as kubectl prints them.
pub fn align(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|at| {
            lines
                .iter()
                .filter_map(|line| line.get(at))
                .map(|text| text.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for line in lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(text, width)| format!("{text:<width$}"))
            .collect();
        out.push_str(cells.join("   ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_aligned() {
        let lines = [
            vec!["NAME".to_owned(), "AGE".to_owned()],
            vec!["member-1".to_owned(), "5s".to_owned()],
        ];
        assert_eq!(super::align(&lines), "NAME       AGE\nmember-1   5s\n");
    }
}
