//! How one script is made of the modules of the page.

use crate::packer::{Files, script, style};

fn files(files: &[(&str, &str)]) -> Files {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

#[track_caller]
fn packs(modules: &[(&str, &str)], expected: &str) {
    assert_eq!(script(&files(modules), "js/main.js").as_deref(), Ok(expected));
}

#[track_caller]
fn is_refused(modules: &[(&str, &str)], wrong: &str) {
    let error = script(&files(modules), "js/main.js").unwrap_err();
    assert!(error.starts_with(wrong), "{error}");
}

#[test]
fn modules_come_before_those_that_need_them() {
    packs(
        &[
            (
                "js/main.js",
                "// Begins.\nimport { a } from \"./a.js\";\nimport {\n  b,\n  c,\n} from \"./deep/b.js\";\n\na(b, c);\n",
            ),
            (
                "js/a.js",
                "import { c } from \"./deep/b.js\";\nexport function a(x) {\n  return c + x; // Kept.\n}\n",
            ),
            ("js/deep/b.js", "/* One. */\nexport const b = 1;\n\n/**\n * Two.\n */\nexport let c = 2;\n"),
            ("js/unused.js", "alert(1);\n"),
        ],
        "const b = 1;\nlet c = 2;\nfunction a(x) {\nreturn c + x; // Kept.\n}\na(b, c);\n",
    );
}

#[test]
fn modules_may_use_each_other() {
    packs(
        &[
            ("js/main.js", "import { a } from \"./a.js\";\nexport function main() { a(); }\nmain();\n"),
            ("js/a.js", "import { main } from \"./main.js\";\nexport const a = () => main;\n"),
        ],
        "const a = () => main;\nfunction main() { a(); }\nmain();\n",
    );
}

#[test]
fn every_kind_of_declaration_is_exported() {
    packs(
        &[(
            "js/main.js",
            "export async function a() { await b(); }\nexport class B {}\nexport function* c() {}\nexport const d = async () => await a();\nexport async function* e() {}\n",
        )],
        "async function a() { await b(); }\nclass B {}\nfunction* c() {}\nconst d = async () => await a();\nasync function* e() {}\n",
    );
}

#[test]
fn texts_stay_as_they_are() {
    let text = "const a = `\n  // no comment\n\n  ${b(`  c\n    d`)}  \n  import x\n`;\nconst e = /[/\"'`]\\//.test(\"/* no */\") / 2;\nconst f = 'it\\'s \\\n  g';\n";
    packs(&[("js/main.js", text)], text);
    packs(&[("js/main.js", "if (a) {\n    b(`c`);\n    // d\n}\n")], "if (a) {\nb(`c`);\n}\n");
}

#[test]
fn address_of_the_script_may_be_asked_for() {
    packs(&[("js/main.js", "const a = import.meta.url;\n")], "const a = import.meta.url;\n");
}

#[test]
fn broken_rule_is_named_with_its_place() {
    for (text, wrong) in [
        ("\nimport a from \"./a.js\";", "web/js/main.js:2: an import is"),
        ("import * as a from \"./a.js\";", "web/js/main.js:1: an import is"),
        ("import { a as b } from \"./a.js\";", "web/js/main.js:1: an import is"),
        ("import \"./a.js\";", "web/js/main.js:1: an import is"),
        ("import { a } from './a.js'", "web/js/main.js:1: an import is"),
        ("import { a } from \"a\";", "web/js/main.js:1: an import names a file"),
        ("import { a } from \"./b.js\";", "web/js/main.js:1: there is no web/js/b.js"),
        ("import { b } from \"./a.js\";", "web/js/main.js:1: js/a.js exports no `b`"),
        ("const b = 1;\nimport { a } from \"./a.js\";", "web/js/main.js:2: imports come first"),
        ("const b = () => import(\"./a.js\");", "web/js/main.js:1: imports come first"),
        ("export default 1;", "web/js/main.js:1: exported are"),
        ("const b = 1;\nexport { b };", "web/js/main.js:2: exported are"),
        ("export * from \"./a.js\";", "web/js/main.js:1: exported are"),
        ("const { b } = c;", "web/js/main.js:1: a declaration at the top level has one name"),
        ("let b = 1, c = 2;", "web/js/main.js:1: a declaration at the top level has one name"),
        ("const b = 1;\nawait b;", "web/js/main.js:2: nothing waits"),
        ("import { a } from \"./a.js\";\n\nfunction c() {}", "web/js/main.js:3: `c` is a name of js/a.js"),
        ("const b = 1;\nfunction b() {}", "web/js/main.js:2: `b` is a name of js/main.js"),
        ("const b = `\n", "web/js/main.js:1: this template does not end"),
        ("\nconst b = \"c", "web/js/main.js:2: this string does not end"),
        ("\n/* b", "web/js/main.js:2: this comment does not end"),
    ] {
        is_refused(&[("js/main.js", text), ("js/a.js", "export const a = 1;\nlet c = 2;\n")], wrong);
    }
    is_refused(&[], "web/js/main.js: there is no such module");
}

#[test]
fn names_of_other_modules_are_imported() {
    let other = "export function a() {}\nexport class B {}\nexport const C_D = 1;\nfunction e() {}\n";
    for (text, name) in [
        ("a();", "a"),
        ("b(() => [`${a()}`]);", "a"),
        ("const b = { ...a() };", "a"),
        ("const b = new B();", "B"),
        ("const b = [C_D];", "C_D"),
        ("if (a()) {}", "a"),
        ("e();", "e"),
    ] {
        let main = format!("import {{ f }} from \"./f.js\";\n{text}\n");
        let wrong = format!("web/js/main.js:2: `{name}` of js/a.js is used and not imported");
        let f = "import { a } from \"./a.js\";\nexport const f = a;\n";
        is_refused(&[("js/main.js", &main), ("js/a.js", other), ("js/f.js", f)], &wrong);
    }
    for text in [
        "b.a();",
        "class F { a(b) { b(\")\"); } }",
        "const b = { B: 1, a() {} };",
        "const b = (a) => a();",
        "const b = a => a();",
        "function b({ a }) { a(); }",
    ] {
        let main = format!("import {{ C_D }} from \"./a.js\";\n{text}\n");
        script(&files(&[("js/main.js", &main), ("js/a.js", other)]), "js/main.js").unwrap();
    }
}

#[test]
fn style_sheets_come_in_order() {
    let sheets = files(&[("css/2.css", "b {}\n\n"), ("css/1.css", "a {}"), ("js/a.js", "")]);
    assert_eq!(style(&sheets), "a {}\nb {}\n");
}
