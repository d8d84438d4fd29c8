//! Makes one script of the modules of the page. For `build.rs`, and for tests of it.
//!
//! The modules keep rules for it, which are checked here; what breaks one is named with its
//! file and line. Then packing is: in order, without imports and the word `export`, without
//! comments that are whole lines and without indentation.

use std::collections::{BTreeMap, BTreeSet};

use crate::script_lexer::{Kind, Token, tokens};

/// The files of the page by their path below `web/`, such as `js/main.js`.
pub(crate) type Files = BTreeMap<String, String>;

/// One script of all modules that `entry` needs.
///
/// # Errors
/// A sentence with the file and line that breaks a rule.
pub(crate) fn script(files: &Files, entry: &str) -> Result<String, String> {
    let (mut modules, mut order) = (BTreeMap::new(), Vec::new());
    visit(files, entry, &mut modules, &mut order)?;
    let mut names = BTreeMap::new();
    let mut script = String::new();
    for path in &order {
        let module: &Module = modules.get(path).ok_or("a module is lost")?;
        for (name, line) in &module.names {
            if let Some(other) = names.insert(name.clone(), path.clone()) {
                return Err(format!(
                    "web/{path}:{line}: `{name}` is a name of {other} already; names are unique"
                ));
            }
        }
        for import in &module.imports {
            let exports = &modules.get(&import.path).ok_or("a module is lost")?.exports;
            if let Some(name) = import.names.iter().find(|name| !exports.contains(*name)) {
                return Err(format!("web/{path}:{}: {} exports no `{name}`", import.line, import.path));
            }
        }
        script.push_str(&module.packed);
    }
    // One script has the names of all modules; only here is it seen that one is not imported.
    for (path, module) in &modules {
        let own = module.names.iter().map(|(name, _)| name);
        let known: BTreeSet<_> = own.chain(module.imports.iter().flat_map(|import| &import.names)).collect();
        for (name, line) in module.uses.iter().filter(|(name, _)| !known.contains(name)) {
            if let Some(other) = names.get(name) {
                return Err(format!("web/{path}:{line}: `{name}` of {other} is used and not imported"));
            }
        }
    }
    Ok(script)
}

/// One style sheet of all in `css/`, in the order of their names.
pub(crate) fn style(files: &Files) -> String {
    let sheets = files.iter().filter(|(path, _)| path.starts_with("css/") && path.ends_with(".css"));
    sheets.map(|(_, text)| text.trim_end().to_owned() + "\n").collect()
}

/// Depth first: what a module imports comes before it, unless it imports this one too.
fn visit(
    files: &Files,
    path: &str,
    modules: &mut BTreeMap<String, Module>,
    order: &mut Vec<String>,
) -> Result<(), String> {
    let text = files.get(path).ok_or_else(|| format!("web/{path}: there is no such module"))?;
    let module = Module::read(path, text)?;
    let imports: Vec<_> = module.imports.iter().map(|import| (import.path.clone(), import.line)).collect();
    modules.insert(path.to_owned(), module);
    for (import, line) in imports {
        if !files.contains_key(&import) {
            return Err(format!("web/{path}:{line}: there is no web/{import}"));
        }
        if !modules.contains_key(&import) {
            visit(files, &import, modules, order)?;
        }
    }
    order.push(path.to_owned());
    Ok(())
}

struct Import {
    path: String,
    names: Vec<String>,
    line: usize,
}

/// The names of a top level with their lines, and those that are exported.
type Declared = (Vec<(String, usize)>, BTreeSet<String>);

struct Module {
    imports: Vec<Import>,
    /// Of its top level, with their lines.
    names: Vec<(String, usize)>,
    exports: BTreeSet<String>,
    /// What is called, and what is used of classes and constants, with the lines.
    uses: Vec<(String, usize)>,
    packed: String,
}

impl Module {
    fn read(path: &str, text: &str) -> Result<Self, String> {
        let tokens = tokens(text).map_err(|(line, wrong)| format!("web/{path}:{line}: {wrong}"))?;
        let mut reader = Reader { path, text, tokens: &tokens, at: 0, cut: Vec::new() };
        let imports = reader.imports()?;
        let (names, exports) = reader.declarations()?;
        let uses = reader.uses();
        let packed = pack(text, &tokens, &reader.cut);
        Ok(Self { imports, names, exports, uses, packed })
    }
}

struct Reader<'t> {
    path: &'t str,
    text: &'t str,
    tokens: &'t [Token],
    at: usize,
    /// What is left out, by bytes.
    cut: Vec<(usize, usize)>,
}

impl Reader<'_> {
    fn wrong<T>(&self, token: &Token, wrong: &str) -> Result<T, String> {
        Err(format!("web/{}:{}: {wrong}", self.path, token.line))
    }

    fn of(&self, token: &Token) -> &str {
        self.text.get(token.start..token.end).unwrap_or_default()
    }

    /// The next token that is no comment.
    fn next(&mut self) -> Option<Token> {
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            if token.kind != Kind::Comment {
                return Some(*token);
            }
        }
        None
    }

    fn is(&self, token: Option<Token>, text: &str) -> bool {
        token.is_some_and(|token| token.kind == Kind::Code && self.of(&token) == text)
    }

    /// The imports, which come first.
    fn imports(&mut self) -> Result<Vec<Import>, String> {
        const FORM: &str = "an import is `import { a, b } from \"./x.js\";`";
        let mut imports = Vec::new();
        loop {
            let before = self.at;
            let Some(first) = self.next() else { return Ok(imports) };
            if self.of(&first) != "import" {
                self.at = before;
                return Ok(imports);
            }
            let brace = self.next();
            if !self.is(brace, "{") {
                return self.wrong(&first, FORM);
            }
            let mut names = Vec::new();
            loop {
                let Some(name) = self.next() else { return self.wrong(&first, FORM) };
                match self.of(&name) {
                    "}" => break,
                    "," => {}
                    text if name.kind == Kind::Code && is_name(text) && text != "as" && text != "default" => {
                        names.push(text.to_owned());
                    }
                    _ => return self.wrong(&name, FORM),
                }
                // Names stand apart: `a as b` is two without a comma between them.
                let after = self.at;
                let comma = self.next();
                if !self.is(comma, ",") && !self.is(comma, "}") {
                    return self.wrong(&name, FORM);
                }
                if self.is(comma, "}") {
                    self.at = after;
                }
            }
            let (from, source, end) = (self.next(), self.next(), self.next());
            let Some(source) = source.filter(|source| source.kind == Kind::Text) else {
                return self.wrong(&first, FORM);
            };
            if !self.is(from, "from") || !self.is(end, ";") {
                return self.wrong(&first, FORM);
            }
            let address = self.of(&source).trim_matches('"');
            let Some(path) = resolve(self.path, address) else {
                return self.wrong(&source, "an import names a file by `./` or `../`");
            };
            self.cut.push((first.start, end.map_or(source.end, |end| end.end)));
            imports.push(Import { path, names, line: first.line });
        }
    }

    /// The names of the top level, and those that are exported.
    fn declarations(&mut self) -> Result<Declared, String> {
        let (mut names, mut exports) = (Vec::new(), BTreeSet::new());
        let mut depth = 0_usize;
        // Whether a statement of the top level begins here, is one of a `const` or `let`, and
        // has an `async` before it.
        let (mut begins, mut is_variable, mut is_async) = (true, false, false);
        let mut last_line = 0;
        while let Some(token) = self.next() {
            let text = self.of(&token).to_owned();
            if token.kind == Kind::Code {
                match text.as_str() {
                    // `import.meta` is that of the one script.
                    "import" if self.tokens.get(self.at).is_none_or(|next| self.of(next) != ".") => {
                        return self.wrong(&token, "imports come first, and none is made later");
                    }
                    "await" if depth == 0 && !is_async => {
                        return self.wrong(&token, "nothing waits at the top level");
                    }
                    "{" | "(" | "[" => depth += 1,
                    "}" | ")" | "]" => depth = depth.saturating_sub(1),
                    "," if depth == 0 && is_variable => {
                        return self.wrong(&token, "a declaration at the top level has one name");
                    }
                    _ => {}
                }
            }
            // Of a statement that ends without a semicolon, the next one begins a line.
            let is_new = depth == 0 && token.line > last_line && is_declaration(&text);
            last_line = token.line;
            if depth == 0 && (text == ";" || text == "}") {
                (begins, is_variable, is_async) = (true, false, false);
                continue;
            }
            if depth > 0 || !(begins || is_new) || token.kind != Kind::Code {
                is_async |= text == "async";
                begins = false;
                continue;
            }
            (begins, is_async) = (false, text == "async");
            let mut word = token;
            let is_exported = text == "export";
            if is_exported {
                let Some(declared) = self.next() else { return self.wrong(&token, "nothing is exported") };
                self.cut.push((token.start, declared.start));
                word = declared;
            }
            if self.of(&word) == "async" {
                is_async = true;
                word = match self.tokens.get(self.at) {
                    Some(function) if self.of(function) == "function" => {
                        self.at += 1;
                        *function
                    }
                    _ => word,
                };
            }
            is_variable = self::is_variable(self.of(&word));
            if !is_variable && !matches!(self.of(&word), "function" | "class") {
                if is_exported {
                    return self.wrong(&token, "exported are a `function`, `class`, `const` or `let` alone");
                }
                continue;
            }
            let mut name = self.next();
            if self.is(name, "*") {
                name = self.next();
            }
            match name {
                Some(name) if name.kind == Kind::Code && is_name(self.of(&name)) => {
                    let text = self.of(&name).to_owned();
                    if is_exported {
                        exports.insert(text.clone());
                    }
                    last_line = name.line;
                    names.push((text, name.line));
                }
                _ => return self.wrong(&word, "a declaration at the top level has one name"),
            }
        }
        Ok((names, exports))
    }

    /// What a module calls, and what it uses of classes and constants, which begin with a
    /// capital; without what a function within it names itself.
    fn uses(&self) -> Vec<(String, usize)> {
        let code: Vec<_> = self.tokens.iter().filter(|token| token.kind != Kind::Comment).collect();
        let at = |n: usize| code.get(n).map_or("", |token| self.of(token));
        let (mut uses, mut locals) = (Vec::new(), BTreeSet::new());
        // Open parentheses and patterns, each by how many names were there before.
        let (mut names, mut open) = (Vec::new(), Vec::new());
        for (n, token) in code.iter().enumerate().filter(|(_, token)| token.kind == Kind::Code) {
            let (text, before, after) = (self.of(token), at(n.wrapping_sub(1)), at(n + 1));
            let is_arrow = after == "=" && at(n + 2) == ">";
            match text {
                "(" | "{" | "[" => {
                    let is_condition = matches!(before, "if" | "for" | "while" | "switch");
                    open.push((names.len(), is_variable(before), is_condition));
                }
                ")" | "}" | "]" => {
                    let (first, is_pattern, is_condition) = open.pop().unwrap_or_default();
                    // Parameters, or the names of `const { a, b } = …`.
                    if is_pattern || text == ")" && !is_condition && (is_arrow || after == "{") {
                        locals.extend(names.iter().skip(first).cloned());
                    }
                    if open.is_empty() {
                        names.clear();
                    }
                }
                _ if !is_name(text) || before == "." && at(n.wrapping_sub(2)) != "." => {}
                _ => {
                    names.push(text.to_owned());
                    if is_arrow || is_variable(before) || before == "function" {
                        locals.insert(text.to_owned());
                    }
                    if after == "(" && !self.is_method(&code, n + 1)
                        || text.starts_with(char::is_uppercase) && after != ":"
                    {
                        uses.push((text.to_owned(), token.line));
                    }
                }
            }
        }
        uses.retain(|(name, _)| !locals.contains(name));
        uses
    }

    /// Whether a body follows what this parenthesis opens.
    fn is_method(&self, code: &[&Token], open: usize) -> bool {
        let mut depth = 0_usize;
        for (n, token) in code.iter().enumerate().skip(open).filter(|(_, token)| token.kind == Kind::Code) {
            match self.of(token) {
                "(" => depth += 1,
                ")" if depth == 1 => return code.get(n + 1).is_some_and(|next| self.of(next) == "{"),
                ")" => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        false
    }
}

fn is_variable(text: &str) -> bool {
    matches!(text, "const" | "let" | "var")
}

fn is_declaration(text: &str) -> bool {
    matches!(text, "export" | "async" | "function" | "class" | "const" | "let" | "var")
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$')
}

/// The path that an import of a module names.
fn resolve(from: &str, address: &str) -> Option<String> {
    if !address.starts_with("./") && !address.starts_with("../") {
        return None;
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in address.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The text without what is cut, comments that are whole lines, and indentation.
fn pack(text: &str, tokens: &[Token], cut: &[(usize, usize)]) -> String {
    let mut cut = cut.to_vec();
    let comments = tokens.iter().filter(|token| token.kind == Kind::Comment);
    cut.extend(
        comments.filter(|comment| is_whole_line(text, comment)).map(|comment| (comment.start, comment.end)),
    );
    cut.sort_unstable();
    let mut kept = String::new();
    // Where lines begin within a text, whose blanks mean something.
    let mut verbatim = BTreeSet::new();
    let (mut done, mut texts) = (0, tokens.iter().filter(|token| token.kind == Kind::Text).peekable());
    let mut keep = |kept: &mut String, from: usize, to: usize| {
        for (at, byte) in text.as_bytes().iter().enumerate().take(to).skip(from) {
            while texts.next_if(|token| token.end <= at).is_some() {}
            if *byte == b'\n' && texts.peek().is_some_and(|token| token.start <= at) {
                verbatim.insert(kept.len() + (at - from) + 1);
            }
        }
        kept.push_str(text.get(from..to).unwrap_or_default());
    };
    for (start, end) in cut {
        keep(&mut kept, done, start.max(done));
        done = end.max(done);
    }
    keep(&mut kept, done, text.len());
    let (mut packed, mut at) = (String::with_capacity(kept.len()), 0);
    for line in kept.split_inclusive('\n') {
        let (is_within, ends_within) = (verbatim.contains(&at), verbatim.contains(&(at + line.len())));
        at += line.len();
        let line = if is_within { line } else { line.trim_start() };
        if ends_within {
            packed.push_str(line);
        } else if is_within || !line.trim().is_empty() {
            packed.push_str(line.trim_end());
            packed.push('\n');
        }
    }
    packed
}

fn is_whole_line(text: &str, token: &Token) -> bool {
    let before = text.get(..token.start).unwrap_or_default();
    let after = text.get(token.end..).unwrap_or_default();
    let line_before = before.rsplit('\n').next().unwrap_or_default();
    let line_after = after.split('\n').next().unwrap_or_default();
    line_before.trim().is_empty() && line_after.trim().is_empty()
}
