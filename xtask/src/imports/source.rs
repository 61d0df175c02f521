//! What one Rust file says about modules: which it declares, what it imports, and which paths it mentions.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::FromStr;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree, token_stream};

/// The text of one module, without what is compiled for tests only.
#[derive(Debug, Default)]
pub struct Source {
    /// Modules that it declares.
    pub children: Vec<Child>,
    /// Its `use` declarations, one for each name.
    pub uses: Vec<Use>,
    /// Names of what it defines itself.
    pub items: BTreeSet<String>,
    /// Paths of two and more segments outside of `use` declarations.
    pub mentions: Vec<Mention>,
}

/// A declared module.
#[derive(Debug)]
pub struct Child {
    pub name: String,
    /// Its text if it stands in the same file.
    pub inline: Option<Source>,
}

/// One imported name.
#[derive(Debug)]
pub struct Use {
    pub path: Vec<String>,
    /// The name under which it is known here; `None` for all names of the path (`*`).
    pub name: Option<String>,
    /// Whether others may import it from here.
    pub public: bool,
    pub line: usize,
}

/// A path in code.
#[derive(Debug)]
pub struct Mention {
    pub path: Vec<String>,
    pub line: usize,
}

/// Words before the name of an item.
const ITEM_WORDS: &[&str] = &[
    "struct",
    "enum",
    "union",
    "trait",
    "fn",
    "type",
    "const",
    "static",
    "macro_rules",
];

impl Source {
    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self> {
        let tokens = TokenStream::from_str(text).map_err(|err| anyhow!("no Rust tokens: {err}"))?;
        Ok(Self::of(tokens))
    }

    fn of(tokens: TokenStream) -> Self {
        let mut source = Self::default();
        source.scan(tokens, true);
        source
    }

    /// Reads tokens of one level; `top` says whether names that are defined here belong to the module.
    fn scan(&mut self, tokens: TokenStream, top: bool) {
        let mut tokens = Tokens::new(tokens);
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => match attribute(&mut tokens) {
                    Attribute::TestItem => skip_item(&mut tokens),
                    Attribute::TestFile => return,
                    Attribute::Other => {}
                },
                TokenTree::Group(group) => self.scan(group.stream(), false),
                TokenTree::Ident(ident) => self.word(&ident.to_string(), line(&ident), &mut tokens, top),
                // A path that begins with `::` leads out of the crate; that after `<T as Trait>` is no module's.
                TokenTree::Punct(punct) if punct.as_char() == ':' && punct.spacing() == Spacing::Joint => {
                    if tokens.takes_punct(':') {
                        tokens.path();
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    fn word(&mut self, word: &str, line: usize, tokens: &mut Tokens, top: bool) {
        match word {
            "mod" if top => self.module(tokens),
            "use" => self.use_tree(tokens, &mut Vec::new()),
            "pub" => {
                // `pub(crate)` and the like
                tokens.takes_group(Delimiter::Parenthesis);
                let known = self.uses.len();
                if tokens.takes_word("use") {
                    self.use_tree(tokens, &mut Vec::new());
                }
                self.uses.iter_mut().skip(known).for_each(|used| used.public = true);
            }
            word if top && ITEM_WORDS.contains(&word) => {
                tokens.takes_punct('!');
                if let Some(TokenTree::Ident(name)) = tokens.peek()
                    && !ITEM_WORDS.contains(&name.to_string().as_str())
                {
                    self.items.insert(name.to_string());
                    tokens.next();
                }
            }
            _ => {
                let mut path = vec![word.to_owned()];
                if tokens.takes_path_separator() {
                    path.extend(tokens.path());
                }
                if path.len() > 1 {
                    self.mentions.push(Mention { path, line });
                }
                if top && tokens.takes_punct('!') {
                    self.made_by_macro(tokens);
                }
            }
        }
    }

    /// What a macro defines is known by the first word that it is given.
    fn made_by_macro(&mut self, tokens: &mut Tokens) {
        let Some(TokenTree::Group(body)) = tokens.next() else {
            return;
        };
        let mut words = Tokens::new(body.stream());
        while words.takes_punct('#') {
            words.next();
        }
        if let Some(TokenTree::Ident(name)) = words.next() {
            self.items.insert(name.to_string());
        }
        self.scan(body.stream(), false);
    }

    fn module(&mut self, tokens: &mut Tokens) {
        let Some(TokenTree::Ident(name)) = tokens.next() else {
            return;
        };
        let inline = match tokens.next() {
            Some(TokenTree::Group(body)) => Some(Self::of(body.stream())),
            _ => None,
        };
        self.children.push(Child {
            name: name.to_string(),
            inline,
        });
    }

    /// Reads one tree of a `use` declaration, up to the comma or the end.
    fn use_tree(&mut self, tokens: &mut Tokens, prefix: &mut Vec<String>) {
        let depth = prefix.len();
        let mut at = 0;
        let mut name = None;
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(ident) if ident == "as" => {
                    if let Some(TokenTree::Ident(alias)) = tokens.next() {
                        name = Some(alias.to_string());
                    }
                }
                TokenTree::Ident(ident) => {
                    at = line(&ident);
                    prefix.push(ident.to_string());
                    name = Some(ident.to_string());
                }
                TokenTree::Group(group) => {
                    let mut inner = Tokens::new(group.stream());
                    while inner.peek().is_some() {
                        self.use_tree(&mut inner, prefix);
                    }
                    name = None;
                    at = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == '*' => {
                    self.uses.push(Use {
                        path: prefix.clone(),
                        name: None,
                        public: false,
                        line: punct.span().start().line,
                    });
                    at = 0;
                }
                TokenTree::Punct(punct) if matches!(punct.as_char(), ',' | ';') => break,
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
        if at > 0 && name.is_some() {
            let mut path = prefix.clone();
            // `use a::{self}` names `a`.
            if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                path.pop();
                name = name.filter(|name| name != "self").or_else(|| path.last().cloned());
            }
            self.uses.push(Use {
                path,
                name,
                public: false,
                line: at,
            });
        }
        prefix.truncate(depth);
    }
}

/// The tokens of one level.
struct Tokens(Peekable<token_stream::IntoIter>);

impl Tokens {
    fn new(tokens: TokenStream) -> Self {
        Self(tokens.into_iter().peekable())
    }

    fn next(&mut self) -> Option<TokenTree> {
        self.0.next()
    }

    fn peek(&mut self) -> Option<&TokenTree> {
        self.0.peek()
    }

    fn takes_punct(&mut self, wanted: char) -> bool {
        self.0
            .next_if(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted))
            .is_some()
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        self.0
            .next_if(|token| matches!(token, TokenTree::Ident(word) if word == wanted))
            .is_some()
    }

    fn takes_group(&mut self, wanted: Delimiter) -> bool {
        self.0
            .next_if(|token| matches!(token, TokenTree::Group(group) if group.delimiter() == wanted))
            .is_some()
    }

    fn takes_path_separator(&mut self) -> bool {
        let first = self.0.next_if(|token| {
            matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':' && punct.spacing() == Spacing::Joint)
        });
        first.is_some() && self.takes_punct(':')
    }

    /// The segments that follow a `::`.
    fn path(&mut self) -> Vec<String> {
        let mut path = Vec::new();
        while let Some(TokenTree::Ident(segment)) = self.0.next_if(|token| matches!(token, TokenTree::Ident(_))) {
            path.push(segment.to_string());
            if !self.takes_path_separator() {
                break;
            }
        }
        path
    }
}

enum Attribute {
    /// The next item is compiled for tests only.
    TestItem,
    /// The whole file is.
    TestFile,
    Other,
}

/// Reads what follows a `#`.
fn attribute(tokens: &mut Tokens) -> Attribute {
    let inner = tokens.takes_punct('!');
    match tokens.next() {
        Some(TokenTree::Group(group)) if is_for_tests(&group) => match inner {
            true => Attribute::TestFile,
            false => Attribute::TestItem,
        },
        _ => Attribute::Other,
    }
}

/// Whether an attribute is `[cfg(test)]` or `[cfg(all(test, …))]`.
fn is_for_tests(group: &Group) -> bool {
    let text = group.stream().to_string().replace(' ', "");
    group.delimiter() == Delimiter::Bracket && (text == "cfg(test)" || text.starts_with("cfg(all(test,"))
}

/// Passes over an item, a statement or a field.
fn skip_item(tokens: &mut Tokens) {
    let mut ends_at_brace = true;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(ident) if ident == "use" => ends_at_brace = false,
            TokenTree::Punct(punct) if punct.as_char() == ';' => return,
            TokenTree::Group(group) if ends_at_brace && group.delimiter() == Delimiter::Brace => return,
            _ => {}
        }
    }
}

fn line(ident: &proc_macro2::Ident) -> usize {
    ident.span().start().line
}
