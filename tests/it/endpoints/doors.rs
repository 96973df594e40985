//! Who gets in: methods, tokens, browsers.

use super::*;

#[tokio::test]
async fn b64_b65_every_endpoint_knows_its_methods_and_answers_browsers() {
    let server = quiet_server().await;
    let stage = Stage::set(&server).await;
    let anyone = server.anonymous();
    for endpoint in endpoints() {
        let path = stage.path(&endpoint, None);
        for token in [None, Some("Bearer nonsense")] {
            let headers: Vec<(&str, &str)> =
                token.map(|it| ("authorization", it)).into_iter().collect();
            let asked = anyone
                .raw(Method::OPTIONS, &path, &headers, "not JSON")
                .await;
            assert!(matches!(asked.status, 200 | 204), "{}", asked.describe());
            assert_eq!(asked.header("access-control-allow-origin"), "*");
            let methods = asked.header("access-control-allow-methods").to_owned();
            assert!(methods.contains(endpoint.method.as_str()), "{methods}");
            assert!(
                asked
                    .header("access-control-allow-headers")
                    .contains("Authorization")
            );
            assert_eq!(asked.header("access-control-allow-credentials"), "");
        }
        let wrong = stage.alice.raw(Method::PATCH, &path, &[], "{}").await;
        assert!(wrong.header("allow").contains(endpoint.method.as_str()));
        wrong.expect_error(405, "M_UNRECOGNIZED");
        let below = format!("{path}/and/below/it");
        stage
            .alice
            .raw(Method::PATCH, &below, &[], "{}")
            .await
            .expect_error(404, "M_UNRECOGNIZED");
    }
    assert_unharmed(&server).await;
}

#[tokio::test]
async fn no_endpoint_that_needs_a_token_reads_a_word_without_one() {
    let server = quiet_server().await;
    let stage = Stage::set(&server).await;
    let before = stage.alice.now().await;
    for endpoint in endpoints().into_iter().filter(|it| it.needs_token) {
        let path = stage.path(&endpoint, None);
        for (token, errcode) in [
            (None, "M_MISSING_TOKEN"),
            (Some("gr_guess"), "M_UNKNOWN_TOKEN"),
            (Some("\u{e9}"), "M_UNKNOWN_TOKEN"),
        ] {
            let mut client = server.anonymous().with_token_in_query();
            client.token = token.map(str::to_owned);
            for body in ["{}", "not JSON", "[[[["] {
                let answer = client.raw(endpoint.method.clone(), &path, &[], body).await;
                answer.expect_error(401, errcode);
            }
        }
        let twice = [("authorization", "Bearer nonsense")];
        let client = stage.alice.with_token_in_query();
        let answer = client
            .raw(endpoint.method.clone(), &path, &twice, "{}")
            .await;
        answer.expect_error(401, "M_MISSING_TOKEN");
    }
    assert_eq!(stage.alice.now().await, before);
    assert_unharmed(&server).await;
}
