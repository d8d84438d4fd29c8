//! Accounts from the shell, and a server in server mode.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "common/command.rs"]
mod command;

use std::io::Write;
use std::process::{Output, Stdio};

use command::{Folder, err, out};

const PASSWORD: &str = "correct horse battery\n";

fn with_password(folder: &Folder, arguments: &[&str]) -> Output {
    let mut command = folder.command(arguments, &[]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", out(output), err(output));
    out(output)
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success(), "{}", out(output));
    err(output)
}

#[test]
fn operator_makes_and_manages_accounts() {
    let folder = Folder::new("accounts");
    let add = ["user", "add", "Ada@Example.org", "--admin", "--name", "Ada", "--password-stdin"];
    assert!(done(&with_password(&folder, &add)).contains("ada@example.org: admin"));
    assert!(refused(&with_password(&folder, &add)).contains("cannot be registered"));
    let bob = ["user", "add", "bob@example.org", "--password-stdin"];
    assert!(done(&with_password(&folder, &bob)).contains("bob@example.org: user"));
    // Nobody is asked where there is no terminal.
    let unasked = folder.command(&bob[..3], &[]).stdin(Stdio::null()).output().unwrap();
    assert!(refused(&unasked).contains("--password-stdin"));
    assert!(refused(&folder.aimate(&["user", "add", "nobody"], &[])).contains("no `@`"));

    let list = done(&folder.aimate(&["user", "list"], &[]));
    assert_eq!(list.lines().count(), 2, "{list}");
    let json = done(&folder.aimate(&["user", "list", "--json"], &[]));
    for line in json.lines() {
        let user: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(user["email"].as_str().unwrap().ends_with("@example.org"));
        assert!(!line.contains("argon2"));
    }
    assert!(done(&folder.aimate(&["user", "disable", "bob@example.org"], &[])).contains("disabled"));
    assert!(!done(&folder.aimate(&["user", "enable", "bob@example.org"], &[])).contains("disabled"));
    done(&folder.aimate(&["user", "unlock", "bob@example.org"], &[]));
    done(&with_password(&folder, &["user", "reset-password", "bob@example.org", "--password-stdin"]));
    let invite = done(&folder.aimate(&["user", "add", "eve@example.org", "--invite"], &[]));
    assert!(invite.lines().any(|line| line.starts_with("aii_") && line.len() == 47), "{invite}");

    let create =
        ["token", "create", "bob@example.org", "--name", "ci", "--scope", "read,write", "--expires", "90d"];
    let token = done(&folder.aimate(&create, &[]));
    assert!(token.trim().starts_with("aim_") && token.trim().len() == 56, "{token}");
    let wide = ["token", "create", "bob@example.org", "--name", "ci", "--scope", "admin"];
    assert!(refused(&folder.aimate(&wide, &[])).contains("only an admin"));
    let tokens = done(&folder.aimate(&["token", "list", "bob@example.org"], &[]));
    assert!(tokens.contains("read,write") && !tokens.contains(&token.trim()[13..]), "{tokens}");
    let id = tokens.split(' ').next().unwrap();
    done(&folder.aimate(&["token", "revoke", "bob@example.org", id], &[]));
    assert_eq!(done(&folder.aimate(&["token", "list", "bob@example.org"], &[])), "");

    let receipt = done(&folder.aimate(&["user", "delete", "bob@example.org"], &[]));
    assert!(receipt.contains("1 users") && receipt.contains("1 logins"), "{receipt}");
    assert!(refused(&folder.aimate(&["user", "delete", "bob@example.org"], &[])).contains("no account"));
}

#[test]
fn local_data_is_adopted() {
    let folder = Folder::new("adopt");
    let adopt = ["user", "adopt", "ada@example.org", "--password-stdin"];
    assert!(refused(&with_password(&folder, &adopt)).contains("nobody has used local mode"));
    done(&folder.aimate(&["chat", "Hello"], &[("AI_PROVIDER", "builtin")]));
    let adopted = done(&with_password(&folder, &adopt));
    assert!(adopted.contains("ada@example.org: admin"), "{adopted}");
    // The local user is still the one that local mode has.
    done(&folder.aimate(&["chat", "Hello"], &[("AI_PROVIDER", "builtin")]));
    assert_eq!(done(&folder.aimate(&["user", "list"], &[])).lines().count(), 1);
}

#[test]
fn sec_t21_server_mode_refuses_secrets_that_can_be_guessed() {
    let folder = Folder::new("secrets");
    let good = "q0Zr5n2J8mYw1Xc7Vb3Kd9Lf6Hs4Tg0Pa5Ue2Ri8=";
    for (environment, part) in [
        (vec![("JWT_SECRET", "change_me_in_production")], "JWT_SECRET"),
        (vec![("JWT_SECRET", "aimate_dev_secret")], "JWT_SECRET"),
        (vec![("JWT_SECRET", "short")], "JWT_SECRET"),
        (vec![("JWT_SECRET", good), ("JWT_SECRET_PREVIOUS", "x")], "JWT_SECRET_PREVIOUS"),
        (vec![("JWT_SECRET", good), ("ENCRYPTION_KEY", "change_me_in_production")], "ENCRYPTION_KEY"),
        (vec![("JWT_SECRET", good)], "ENCRYPTION_KEY"),
        (vec![("JWT_SECRET", good), ("AIMATE_REGISTRATION", "everybody")], "registration"),
    ] {
        let told = refused(&folder.aimate(&["--addr", "127.0.0.1:0"], &environment));
        assert!(told.contains(part), "{environment:?}: {told}");
        for (_, value) in environment.iter().filter(|(_, value)| value.len() > 20) {
            assert!(!told.contains(value), "{told}");
        }
    }
}
