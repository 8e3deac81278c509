//! From one backend to three: each answers its share.

use crate::ask::{Expected, every_call};
use crate::stage::{BACKEND_1, BACKEND_2, BACKEND_3, FRONTEND, Stage};
use crate::verdict::Shown;

pub(super) fn run(stage: &mut Stage) -> Shown {
    stage.start(BACKEND_1);
    stage.start(BACKEND_3);
    stage.apply("three-backends.yaml", &[BACKEND_1, BACKEND_2, BACKEND_3]);
    for call in every_call() {
        let source = stage.address(FRONTEND, call.0);
        let expected = [BACKEND_1, BACKEND_2, BACKEND_3].map(|place| Expected {
            times: 10,
            server: place.name,
            source,
        });
        stage.caller(FRONTEND).expect(stage.screen, call, &expected)?;
    }
    Ok("each of the three backends answers 10 of 30 requests".to_owned())
}
