//! Products as files: `ostler product export | diff | apply` against a running server.

use futures_util::future::join_all;
use ostler_testkit::Scratch;
use serde_json::json;

use crate::installation::{Installation, Said, ostler};
use crate::world::{self, On, on_both};

const THERMOSTAT: &str = r#"
slug = "thermostat"
name = "Thermostat"

[[functions]]
name = "setTarget"
argument = { type = "integer", min = 5, max = 30 }
"#;

struct Folder(Scratch);

impl Folder {
    fn file(&self, text: &str) -> String {
        let path = self.0.join("product.toml");
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

async fn product(installation: &Installation, arguments: &[&str]) -> Said {
    let arguments: Vec<&str> = ["product"].iter().chain(arguments).copied().collect();
    installation.ask(&arguments, "").await
}

#[tokio::test]
async fn a_file_is_applied_compared_and_exported() {
    let installation = Installation::new().await;
    let _server = installation.serve();
    let folder = Folder(Scratch::new());
    let file = folder.file(THERMOSTAT);

    let dry = product(&installation, &["apply", "--dry-run", &file]).await.succeeded();
    assert!(
        dry.out.contains("thermostat would be created; nothing was changed"),
        "{dry:#?}"
    );
    let made = product(&installation, &["apply", &file]).await.succeeded();
    assert!(made.out.ends_with("thermostat was created, version 1\n"), "{made:#?}");
    let same = product(&installation, &["diff", "--check", &file]).await.succeeded();
    assert_eq!(same.out, "");

    let changed = folder.file(&THERMOSTAT.replace("max = 30", "max = 32"));
    let difference = product(&installation, &["diff", "--check", &changed])
        .await
        .failed("the product differs from the file");
    assert_eq!(difference.out, "~ /functions/setTarget/argument/max: 30 → 32\n");
    let applied = product(&installation, &["apply", "--json", &changed]).await.succeeded();
    assert_eq!(
        (&applied.json()["outcome"], &applied.json()["version"]),
        (&json!("applied"), &json!(2))
    );

    let exported = product(&installation, &["export", "thermostat"]).await.succeeded();
    let again = folder.file(&exported.out);
    let unchanged = product(&installation, &["apply", &again]).await.succeeded();
    assert_eq!(unchanged.out, "thermostat is as the file says, version 2\n");
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_place_and_an_exit_status() {
    let installation = Installation::new().await;
    let server = installation.serve();
    let folder = Folder(Scratch::new());

    let faulty = folder.file(&THERMOSTAT.replace("max = 30", "max = 3"));
    let said = product(&installation, &["apply", &faulty])
        .await
        .failed("The request is not valid");
    assert!(
        said.err
            .contains("/functions/0/argument  must have integers `min` and `max`"),
        "{said:#?}"
    );
    let broken = folder.file("slug = [");
    product(&installation, &["diff", &broken]).await.failed("is not TOML");
    product(&installation, &["diff", "no-such-file.toml"])
        .await
        .failed("cannot read no-such-file.toml");
    product(&installation, &["export", "dishwasher"])
        .await
        .failed("there is no product `dishwasher`");

    let misused = product(&installation, &["apply"]).await;
    assert_eq!((misused.status, misused.out.as_str()), (2, ""));
    drop(server);
    product(&installation, &["export", "thermostat"])
        .await
        .failed("cannot be asked");
}

#[tokio::test]
async fn the_clients_secret_comes_from_a_file_or_the_environment_and_never_from_the_command_line() {
    let installation = Installation::new().await;
    let _server = installation.serve();
    let folder = Folder(Scratch::new());
    let file = folder.file(THERMOSTAT);
    let secret = folder.0.join("secret");
    std::fs::write(&secret, format!("{}\n", installation.client_secret)).unwrap();
    let secret = secret.to_str().unwrap();
    let named = [
        ("OSTLER_SERVER", installation.base_url.as_str()),
        ("OSTLER_CLIENT_ID", &installation.client_id),
    ];
    let diff = ["product", "diff", &file];
    let given_by = async |more: &[&str], variables: &[(&str, &str)]| {
        let variables = [&named[..], variables].concat();
        ostler(diff.iter().chain(more), &variables, "").await
    };
    given_by(&["--client-secret-file", secret], &[]).await.succeeded();
    given_by(&[], &[("OSTLER_CLIENT_SECRET_FILE", secret)])
        .await
        .succeeded();
    given_by(&[], &[("OSTLER_CLIENT_SECRET", &installation.client_secret)])
        .await
        .succeeded();
    for (more, words) in [
        (
            &["--client-secret", &installation.client_secret][..],
            "unexpected argument",
        ),
        (&[], "--client-secret-file"),
        (&["--client-secret-file", &file], "in one line"),
    ] {
        let said = given_by(more, &[]).await;
        assert!(said.status == 2 && said.err.contains(words), "{said:#?}");
        assert!(!said.err.contains(&installation.client_secret), "{said:#?}");
    }
}

mod at_once {
    use super::*;
    use world::Installation;

    on_both! {
        async fn of_many_who_declare_one_slug_at_once_one_does(installation) {
            let maker = installation.maker().await;
            let answers = join_all((0..12).map(|nth| {
                let maker = maker.clone();
                async move {
                    let file = json!({"slug": "kettle", "name": format!("Kettle {nth}"), "time_zone": "Europe/Berlin"});
                    (maker.post("/admin/v1/products", &file).await, file["name"].clone())
                }
            }))
            .await;
            let (created, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(answer, _)| answer.status == 201);
            let [(created, name)] = &created[..] else { panic!("{created:?}") };
            for (answer, _) in refused {
                answer.expect_problem(409, "conflict");
            }
            let id = created.at("/id");
            let shown = maker.get(&format!("/admin/v1/products/{}", id.as_str().unwrap())).await.expect(200);
            assert_eq!((shown.at("/version"), &shown.at("/name")), (json!(1), name), "nobody wrote over it");
        }
    }
}
