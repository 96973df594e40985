//! Words are found in every language, in the middle of a sentence too.

use greenroom_tests::shared_server;
use serde_json::json;

use super::recent;
use crate::rooms::shared_room;

#[tokio::test]
async fn words_are_found_in_every_language() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let sentences = [
        (
            "昨日は東京都庁へ行きました",
            &["東京", "都庁", "行きました", "昨"][..],
        ),
        (
            "新しいコンピュータを買った",
            &["コンピュータ", "ｺﾝﾋﾟｭｰﾀ", "買"],
        ),
        ("我们明天去北京看电影", &["北京", "明天", "电影", "看"]),
        ("내일 서울에서 만나요", &["서울", "만나", "내일"]),
        ("ขอบคุณมากครับเพื่อน", &["ขอบคุณ", "เพื่อน", "มาก"]),
        ("والكتاب الجديد في المكتبة", &["كتاب", "المكتبة", "جديد"]),
        ("הספר החדש על השולחן", &["ספר", "שולחן"]),
        (
            "Das Elektrofahrrad ist grün",
            &["fahrrad", "GRÜN", "grun", "elektro"],
        ),
        ("Съешь ещё этих булок", &["булок", "еще", "СЪЕШЬ"]),
        ("नमस्ते दुनिया", &["दुनिया", "नमस्ते"]),
        ("Chúc mừng năm mới", &["chuc", "mừng"]),
        ("party tonight 🎉", &["🎉", "tonight"]),
    ];
    for (n, (sentence, terms)) in sentences.iter().enumerate() {
        let sent = alice.send_text(&room, &format!("t{n}"), sentence).await;
        for term in *terms {
            let hits = recent(&bob, term).await;
            assert_eq!(hits, [&*sent], "{term} in {sentence}");
        }
    }
    for term in [
        "京東",
        "电脑",
        "부산",
        "สวัสดี",
        "بيت",
        "fahrzeug",
        "art",
        "🎂",
    ] {
        assert!(recent(&bob, term).await.is_empty(), "{term}");
    }
}
