//! What Markdown becomes.

use aimate_markdown::{Options, Renderer};
use std::time::Duration;

fn render(text: &str) -> String {
    let options = Options::default().highlight_time(Duration::from_secs(60));
    Renderer::new(options).render(text).unwrap()
}

#[track_caller]
fn becomes(text: &str, html: &str) {
    assert_eq!(render(text).trim_end(), html, "{text}");
}

#[test]
fn blocks_and_spans() {
    becomes("# A *b*", "<h1>A <em>b</em></h1>");
    becomes("**a** ~~b~~ `c`  \nd\ne", "<p><strong>a</strong> <del>b</del> <code>c</code><br>\nd\ne</p>");
    becomes("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>");
    becomes("3. a\n4. b", "<ol start=\"3\">\n<li>a</li>\n<li>b</li>\n</ol>");
    becomes("> a\n>\n> b", "<blockquote>\n<p>a</p>\n<p>b</p>\n</blockquote>");
    becomes("> [!WARNING]\n> a", "<blockquote class=\"warning\">\n<p>a</p>\n</blockquote>");
    becomes("---", "<hr>");
}

#[test]
fn tables() {
    becomes(
        "| a | b | c |\n|:--|:-:|---|\n| 1 | 2<br>3 | `x\\|y` |",
        "<div class=\"table\"><table>\n<thead><tr><th class=\"left\">a</th><th class=\"center\">b</th><th>c</th></tr></thead>\n\
         <tbody>\n<tr><td class=\"left\">1</td><td class=\"center\">2<br>3</td><td><code>x|y</code></td></tr>\n</tbody></table></div>",
    );
    becomes("|a|\n|-|", "<div class=\"table\"><table>\n<thead><tr><th>a</th></tr></thead>\n</table></div>");
}

#[test]
fn task_lists() {
    becomes(
        "- [x] a\n- [ ] b",
        "<ul>\n<li class=\"task\"><input type=\"checkbox\" disabled=\"\" checked=\"\"> a</li>\n\
         <li class=\"task\"><input type=\"checkbox\" disabled=\"\"> b</li>\n</ul>",
    );
    assert!(render("- [x] a\n\n- b").contains("<li class=\"task\"><p><input"));
}

#[test]
fn footnotes_have_ids_of_their_own() {
    let html = render("A[^b], C[^a].\n\n[^a]: Second.\n[^b]: First, see [^a].\n[^c]: Never named.");
    let id = html.split("<a href=\"#fn-").nth(1).unwrap().split("-1\"").next().unwrap();
    assert!(
        html.contains(&format!(
            "<sup class=\"footnote\"><a href=\"#fn-{id}-1\" rel=\"noopener noreferrer nofollow\">1</a></sup>"
        )),
        "{html}"
    );
    assert!(
        html.contains(&format!("<div class=\"footnote\" id=\"fn-{id}-1\"><sup>1</sup> <p>First, see ")),
        "{html}"
    );
    assert!(
        html.contains(&format!("<div class=\"footnote\" id=\"fn-{id}-2\"><sup>2</sup> <p>Second.</p>")),
        "{html}"
    );
    assert!(!render("A[^b]\n\n[^b]: Another text.").contains(id));
    becomes("A[^b]", "<p>A[^b]</p>");
}

#[test]
fn code() {
    becomes("    a < b", "<pre class=\"code\"><code>a &lt; b</code></pre>");
    becomes("```\na\n```", "<pre class=\"code\"><code>a\n</code></pre>");
    becomes(
        "```rust\nfn a() {} // b\n```",
        "<pre class=\"code\" data-language=\"rust\"><code><span class=\"hl-k\">fn</span> <span class=\"hl-f\">a</span>() {} \
         <span class=\"hl-c\">// b\n</span></code></pre>",
    );
    becomes("```no-such\na\n```", "<pre class=\"code\" data-language=\"no-such\"><code>a\n</code></pre>");
    becomes("```\"onclick=\na\n```", "<pre class=\"code\"><code>a\n</code></pre>");
    for language in
        ["typescript", "python", "json", "bash", "html", "css", "sql", "go", "yaml", "java", "cpp", "diff"]
    {
        let html = render(&format!("```{language}\nif \"a\": 1 <b> -- x\n+ c\n```"));
        assert!(html.contains("hl-"), "{language}: {html}");
    }
}

#[test]
fn formulas() {
    let math = "<math display=\"inline\"><msup><mi>x</mi><mn>2</mn></msup></math>";
    for text in ["a $x^2$ b", "a \\(x^2\\) b", "a \\( x^2 \\) b"] {
        becomes(text, &format!("<p>a {math} b</p>"));
    }
    let block = math.replace("inline", "block");
    for text in ["$$x^2$$", "$$\nx^2\n$$", "\\[x^2\\]", "\\[\n\n  x^2 % a square\n\n\\]"] {
        becomes(text, &format!("<p>{block}</p>"));
    }
    becomes("> $$\n> x^2\n> $$", &format!("<blockquote>\n<p>{block}</p>\n</blockquote>"));
    becomes("- $$\n  x^2\n  $$\n- b", &format!("<ul>\n<li>{block}</li>\n<li>b</li>\n</ul>"));
    becomes(
        "|a|\n|-|\n|$x^2$|",
        &format!(
            "<div class=\"table\"><table>\n<thead><tr><th>a</th></tr></thead>\n<tbody>\n<tr><td>{math}</td></tr>\n</tbody></table></div>"
        ),
    );
    let sum = render("$$\na\n+ b\n= c\n- d\n# e\n$$");
    assert!(sum.starts_with("<p>") && !sum.contains("<ul>"), "{sum}");
    let matrix = render("$$\\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix}$$");
    assert_eq!((matrix.matches("<mtr>").count(), matrix.matches("<mtd>").count()), (2, 4), "{matrix}");
    let aligned = render("\\[\\begin{aligned} a &= b \\\\ &= c \\end{aligned}\\]");
    assert!(aligned.contains("<mtable class=\"menv-alignlike menv-align\">"), "{aligned}");
    for common in [
        "\\int_0^\\infty e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}",
        "\\sum_{i=1}^{n} i^2",
        "\\mathbb{R}^n \\to \\mathcal{L}",
        "\\begin{cases} 1 & x > 0 \\\\ 0 & \\text{otherwise} \\end{cases}",
        "\\vec{v} \\cdot \\hat{n}",
        "\\left( \\frac{a}{b} \\right)",
        "\\lim_{x \\to 0} \\frac{\\sin x}{x}",
        "\\binom{n}{k}",
        "\\overline{AB}",
        "\\operatorname{softmax}(x)",
        "P(A \\mid B)",
        "\\mathbf{x}^\\top \\mathbf{W}",
        "\\nabla \\times \\mathbf{E} = -\\frac{\\partial \\mathbf{B}}{\\partial t}",
        "\\boxed{42}",
        "\\underbrace{a+b}_{c}",
        "\\xrightarrow{a}",
        "\\stackrel{a}{=}",
        "a \\bmod b",
        "E = mc^2 \\tag{1}",
        "\\dfrac{a}{b}",
        "\\textbf{a}",
        "\\left\\| x \\right\\|",
        "\\lVert x \\rVert",
        "a \\implies b \\iff c",
        "\\cancel{x}",
        "\\hspace{1em} \\quad \\ldots",
        "\\color{red}{x}",
        "\\Big( x \\Big)",
        "\\begin{array}{c|c} a & b \\\\ \\hline c & d \\end{array}",
        "\\arg\\min_x f(x)",
        "\\operatorname*{arg\\,max}_x",
        "\\mathrm{d}x",
        "x \\in \\{1, \\dots, n\\}",
        "\\begin{align*} a &= b \\end{align*}",
        "10\\%",
        "\\text{a \\& b}",
        "\\not\\in",
        "\\varepsilon \\coloneqq \\Omega",
        "f'(x)",
        "\\overset{a}{b}",
        "\\begin{equation} a \\end{equation}",
        "\\prod_{k}^{n}",
        "\\sqrt[3]{x}",
        "\\mathop{a}",
        "\\xleftarrow[b]{a}",
        "\\rightleftharpoons",
        "\\degree",
        "^\\circ",
        "\\begin{bmatrix}1\\end{bmatrix}",
        "\\substack{a\\\\b}",
        "\\boxed{42}",
    ] {
        let html = render(&format!("$${common}$$"));
        assert!(html.contains("<math display=\"block\">"), "{common}: {html}");
    }
}

#[test]
fn formula_that_cannot_be_read_is_shown_as_it_stands() {
    becomes("a $\\frac{<b>}$ c", "<p>a <code class=\"math\">$\\frac{&lt;b&gt;}$</code> c</p>");
    becomes("$\\def\\a{b}\\a$", "<p><code class=\"math\">$\\def\\a{b}\\a$</code></p>");
}

#[test]
fn what_is_no_formula() {
    for text in [
        "It costs $5 and $10.",
        "$5-$10 or $20",
        "$HOME and $PATH",
        "$HOME:$PATH",
        "$ x $",
        "$$ and more",
        "price$x$",
        "$a\n\nb$",
    ] {
        let html = render(text);
        assert!(!html.contains("math"), "{html}");
    }
    becomes("\\$x\\$ and \\\\(y\\\\)", "<p>$x$ and \\(y\\)</p>");
    becomes("\\[a\\](b)", "<p>[a](b)</p>");
    becomes("`$x$` ``\\(y\\)``", "<p><code>$x$</code> <code>\\(y\\)</code></p>");
    becomes(
        "```\n$$x$$\n```\n\n    $y$",
        "<pre class=\"code\"><code>$$x$$\n</code></pre>\n<pre class=\"code\"><code>$y$</code></pre>",
    );
    becomes(
        "> ```\n> $x$\n\nb",
        "<blockquote>\n<pre class=\"code\"><code>$x$\n</code></pre>\n</blockquote>\n<p>b</p>",
    );
    becomes(
        "<b>$x$ <!-- $y$ -->",
        "<p>&lt;b&gt;<math display=\"inline\"><mi>x</mi></math> &lt;!-- $y$ --&gt;</p>",
    );
}

#[test]
fn marks_of_formulas_cannot_be_written() {
    becomes("$x$ \u{FDD0}0\u{FDD1}", "<p><math display=\"inline\"><mi>x</mi></math> \u{FFFD}0\u{FFFD}</p>");
}

#[test]
fn too_long_text_is_refused_with_a_sentence() {
    let renderer = Renderer::new(Options::default().max_text(10));
    assert!(renderer.render("0123456789").is_ok());
    let error = renderer.render("0123456789a").unwrap_err();
    assert_eq!(error.to_string(), "the text has 11 bytes; at most 10 are rendered");
}
