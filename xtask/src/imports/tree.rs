//! The modules of one crate, and which module a path leads to.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use super::source::{Child, Source, Use};

/// Every module below a crate's root, by path; the root's path is empty.
#[derive(Debug, Default)]
pub struct Tree {
    modules: BTreeMap<Path, Module>,
}

/// Names of the modules from the crate's root down.
pub type Path = Vec<String>;

/// One module.
#[derive(Debug)]
pub struct Module {
    /// The file that holds it, as it was named to the reader.
    pub file: String,
    pub source: Source,
}

/// A place in a file that uses another module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub file: String,
    pub line: usize,
}

/// The way of one path through re-exports.
#[derive(Default)]
struct Followed {
    passed: Vec<Path>,
    /// What was looked up where: the search through modules that re-export each other must end.
    looked_up: BTreeSet<(Path, Vec<String>)>,
}

/// Longer paths are made by imports that name each other; no real path is that long.
const MAX_SEGMENTS: usize = 16;

impl Tree {
    /// Reads a crate from its root file. `read` gives the text of a file, or nothing if there is none.
    pub fn read(root: &str, read: &impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut tree = Self::default();
        let text = read(root).with_context(|| format!("{root} cannot be read"))?;
        let source = Source::parse(&text).with_context(|| root.to_owned())?;
        let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        tree.add(Vec::new(), root, &folder, source, read)?;
        Ok(tree)
    }

    /// Adds a module and those below it; their files are in `folder`.
    fn add(
        &mut self,
        path: Path,
        file: &str,
        folder: &str,
        mut source: Source,
        read: &impl Fn(&str) -> Option<String>,
    ) -> Result<()> {
        for child in &mut source.children {
            let mut below = path.clone();
            below.push(child.name.clone());
            let Child { name, inline } = child;
            let inside = format!("{folder}/{name}");
            match inline.take() {
                Some(source) => self.add(below, file, &inside, source, read)?,
                None => {
                    let candidates = [format!("{inside}.rs"), format!("{inside}/mod.rs")];
                    let found = candidates.into_iter().find_map(|file| Some((read(&file)?, file)));
                    // A module whose file is named by an attribute or made by a macro is none of the graph's.
                    let Some((text, file)) = found else { continue };
                    let source = Source::parse(&text).with_context(|| file.clone())?;
                    self.add(below, &file, &inside, source, read)?;
                }
            }
        }
        let file = file.to_owned();
        self.modules.insert(path, Module { file, source });
        Ok(())
    }

    /// Every use of one module by another, as `(user, used, place)`: what a path names, and where re-exports lead it.
    pub fn uses(&self) -> Vec<(Path, Path, Place)> {
        let mut found = Vec::new();
        for (user, module) in &self.modules {
            let imports = module.source.uses.iter().map(|used| (&used.path, used.line));
            let mentions = module.source.mentions.iter().map(|seen| (&seen.path, seen.line));
            for (path, line) in imports.chain(mentions) {
                let file = module.file.clone();
                for used in self.resolve(user, path) {
                    found.push((
                        user.clone(),
                        used,
                        Place {
                            file: file.clone(),
                            line,
                        },
                    ));
                }
            }
        }
        found
    }

    /// The modules that a path in `from` passes: the one it names, then those that re-exports lead to.
    fn resolve(&self, from: &Path, path: &[String]) -> Vec<Path> {
        let mut followed = Followed::default();
        self.follow(from, path, &mut followed);
        followed.passed
    }

    fn follow(&self, from: &Path, path: &[String], followed: &mut Followed) {
        let Some((mut at, mut rest)) = self.begin(from, path) else {
            return;
        };
        while let Some((segment, after)) = rest.split_first() {
            let mut below = at.clone();
            below.push(segment.clone());
            if !self.modules.contains_key(&below) {
                break;
            }
            (at, rest) = (below, after);
        }
        // The way through the own imports is no use of anything by itself.
        if at != *from && !followed.passed.contains(&at) {
            followed.passed.push(at.clone());
        }
        let Some((segment, after)) = rest.split_first() else {
            return;
        };
        if rest.len() > MAX_SEGMENTS || !followed.looked_up.insert((at.clone(), rest.to_vec())) {
            return;
        }
        for used in self.imports(&at, segment) {
            let mut path = used.path.clone();
            if used.name.is_none() {
                path.push(segment.clone());
            }
            path.extend_from_slice(after);
            self.follow(&at, &path, followed);
        }
    }

    /// The `use` declarations of a module that may give it a name: the one of that name, or those of all names of a
    /// module that knows it.
    fn imports<'a>(&'a self, module: &Path, name: &str) -> Vec<&'a Use> {
        let Some(source) = self.modules.get(module).map(|m| &m.source) else {
            return Vec::new();
        };
        if source.items.contains(name) {
            return Vec::new();
        }
        let named: Vec<&Use> = source
            .uses
            .iter()
            .filter(|used| used.name.as_deref() == Some(name))
            .collect();
        if !named.is_empty() {
            return named;
        }
        let globs = source.uses.iter().filter(|used| used.name.is_none());
        globs.filter(|used| self.knows(module, &used.path, name)).collect()
    }

    /// Whether the module that a path leads to defines, declares or re-exports a name.
    fn knows(&self, from: &Path, path: &[String], name: &str) -> bool {
        let Some((mut at, rest)) = self.begin(from, path) else {
            return false;
        };
        at.extend_from_slice(rest);
        let Some(Module { source, .. }) = self.modules.get(&at) else {
            return false;
        };
        source.items.contains(name)
            || source.children.iter().any(|child| child.name == name)
            || source.uses.iter().any(|used| {
                // What a module imports for itself is seen by what lies below it alone.
                used.name.as_deref() == Some(name) && (used.public || from.starts_with(&at))
            })
    }

    /// The module in which a path starts, and the segments that remain; nothing for paths into other crates.
    fn begin<'a>(&self, from: &Path, path: &'a [String]) -> Option<(Path, &'a [String])> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some((Vec::new(), rest)),
            "self" => self.begin_above(from.clone(), rest),
            "super" => self.begin_above(from.clone(), path),
            name => {
                let source = &self.modules.get(from)?.source;
                let known = source.children.iter().any(|child| child.name == name)
                    || source
                        .uses
                        .iter()
                        .any(|used| used.name.as_deref() == Some(name) && used.path.len() > 1 && used.path[0] != name);
                known.then(|| (from.clone(), path))
            }
        }
    }

    fn begin_above<'a>(&self, mut at: Path, mut rest: &'a [String]) -> Option<(Path, &'a [String])> {
        while let Some((_, after)) = rest.split_first().filter(|(first, _)| *first == "super") {
            at.pop()?;
            rest = after;
        }
        Some((at, rest))
    }
}
