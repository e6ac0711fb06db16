-- A store of version 2, as the program of commit 41e97b1 left it when it was killed;
-- what did not come by itself was added under its guard of states.
BEGIN TRANSACTION;
CREATE TABLE conversation (
        id INTEGER PRIMARY KEY,
        bot TEXT NOT NULL,
        page TEXT NOT NULL,
        psid TEXT NOT NULL,
        opened INTEGER NOT NULL,      -- ms: the message that opened it
        heard INTEGER NOT NULL,       -- ms: the last act that opens the window
        quiet_until INTEGER NOT NULL DEFAULT 0,  -- ms: a human is at it
        UNIQUE (bot, page, psid)
    ) STRICT;
INSERT INTO "conversation" VALUES(1,'mica','108463527190842','6284913775102840',1795402247191,1795402247269,0);
INSERT INTO "conversation" VALUES(2,'mica','108463527190842','6284913775102842',1795402247337,1795402251455,1795404051402);
INSERT INTO "conversation" VALUES(3,'mica','108463527190842','6284913775102844',1795402251510,1795402251510,0);
INSERT INTO "conversation" VALUES(4,'mica','108463527190842','6284913775102845',1795402251563,1795402251563,0);
INSERT INTO "conversation" VALUES(5,'mica','108463527190842','6284913775102843',1795402252188,1795402252188,0);
INSERT INTO "conversation" VALUES(6,'mica','108463527190842','6284913775102847',1795402252241,1795402252241,0);
INSERT INTO "conversation" VALUES(7,'mica','108463527190842','6284913775102841',1795402252293,1795402252346,0);
INSERT INTO "conversation" VALUES(8,'mica','108463527190842','6284913775102848',1795402252348,1795402252348,0);
INSERT INTO "conversation" VALUES(9,'mica','108463527190842','6284913775102849',1795402252348,1795402252348,0);
CREATE TABLE event (
        id INTEGER PRIMARY KEY,
        key BLOB NOT NULL,            -- 16 bytes; see conversation/events.py
        conversation INTEGER REFERENCES conversation,
        bot TEXT NOT NULL,
        page TEXT NOT NULL,
        kind TEXT NOT NULL,
        mid TEXT,
        at INTEGER NOT NULL,          -- ms, by Meta's clock
        received INTEGER NOT NULL,    -- ms
        text TEXT,
        raw BLOB,                     -- of unreadable ones
        state TEXT NOT NULL,
        reason TEXT,
        turn INTEGER REFERENCES turn, source TEXT NOT NULL DEFAULT 'webhook',
        -- What one bot has no use for another may have to answer.
        UNIQUE (key, bot)
    ) STRICT;
INSERT INTO "event" VALUES(1,X'D5146BC80A43E81F98AB14A1A735DD83',1,'mica','108463527190842','message','m_zQcs2L5vn2KsTAnCggbn41WUqms0L10KOl5IQvq0KPdi5uKC5cFlfHjDqWezZxHr',1795402247191,1795402247193,'Are you open on Sunday?',NULL,'done',NULL,1,'webhook');
INSERT INTO "event" VALUES(2,X'BD496C39CA1D5288FC5B90D9ED8CA3F2',1,'mica','108463527190842','echo','m_GnGnI3OGJkgvYcYjeWJ8wSTURhg8bk2eoaWlzPcuIUDDBL38aiHl6BIXVog11Jf7',1795402247216,1795402247220,NULL,NULL,'ignored','echo',NULL,'webhook');
INSERT INTO "event" VALUES(3,X'10365A05622ED3FCDDEA9E86B2E0997A',1,'mica','108463527190842','postback','m_KUOfJdnUZU_sjUgZ-0DWurLI4BIcRBrmFKe42SqSGa8ezodUV1jeeB7zT4_0jccZ',1795402247269,1795402247271,'Opening hours',NULL,'done',NULL,2,'webhook');
INSERT INTO "event" VALUES(4,X'9E5CFA8D8E6BA398D8FAA69A77A20BFB',1,'mica','108463527190842','echo','m_nvOE3Zpud4XDn69CAo7xD7pNFs7mgyDrpo53jEmdfuqoPJgDPKrgF-yQPrjRNxDX',1795402247284,1795402247287,NULL,NULL,'ignored','echo',NULL,'webhook');
INSERT INTO "event" VALUES(5,X'43EF5FD9637AE3B2965B736472EF58BC',2,'mica','108463527190842','message','m_gRYMq-VrEaBF5UoAnUmlnH8eW3569PvTKjcb3iJYSFVq8XA-eonzusqXQFPr6iG0',1795402247337,1795402247339,'I want a human',NULL,'done',NULL,3,'webhook');
INSERT INTO "event" VALUES(6,X'3B018E6D71FC8ED44A6F597F32DA8ED6',2,'mica','108463527190842','echo','m_wWMBi0QirnLD7VkX0RiYFJ7EQ_4iGe9RYLgF4NZlCIKOEXv_izLO7gLmQX0RN-sb',1795402247348,1795402247350,NULL,NULL,'ignored','echo',NULL,'webhook');
INSERT INTO "event" VALUES(7,X'35A0D320A953706CE5834491AAE316FB',2,'mica','108463527190842','echo','m_SZjzH2oWJYw6Iy9VbuaA0PuOGOzBBlCKXAkFNHIfvvZHQafMkl9qmqdFF4x3Em6W',1795402251402,1795402251404,NULL,NULL,'ignored','echo',NULL,'webhook');
INSERT INTO "event" VALUES(8,X'766B7B8BFAF98561D75D83C057A9CCA8',2,'mica','108463527190842','message','m_IXhFzKXhiGJ8-ylRct1dkwi8-j3MCFNKVAUSLybzezDkrEvStYHNL1zhcAjms96c',1795402251455,1795402251457,'Thank you, human',NULL,'ignored','human',NULL,'webhook');
INSERT INTO "event" VALUES(9,X'2CBC4066AA6F020B8E2D58E59C9FFED4',3,'mica','108463527190842','message','m_PZKvEaC6_hZ62sCtuFTywatjViHrBXTgOO5IJsiyYuzmaeQJKHmr11gnixR2rO7l',1795402251510,1795402251515,'What nobody will answer',NULL,'dead','HTTP 400',4,'webhook');
INSERT INTO "event" VALUES(10,X'0EC1322C124B1CB6C7073858E9E4E97C',3,'mica','108463527190842','echo','m_UHpKhj31j0YnCZSFJebGz2_XSTyT6XfZhG4XNwZGIeUGCPKt0DX9lpB0RNN0yiPz',1795402251540,1795402251542,NULL,NULL,'ignored','echo',NULL,'webhook');
INSERT INTO "event" VALUES(11,X'1B26EC58B751EBE7BB90682A5371E563',4,'mica','108463527190842','message','m_xakeflDXBamaeSWk8cAK_836QbPQqLzqDYaC-1paF8uacHxbcGUWFfXzBlOGWt-c',1795402251563,1795402251571,'Tell me at length',NULL,'done',NULL,5,'webhook');
INSERT INTO "event" VALUES(12,X'A85A13426CB1044AC4EDC9FACAB2DD5C',NULL,'mica','108463527190842','unreadable',NULL,1795402251623,1795402251623,NULL,X'7B226D657373616765223A7B226D6964223A352C2274657874223A5B5D7D2C22726563697069656E74223A7B226964223A22313038343633353237313930383432227D2C2273656E646572223A226E6F626F6479222C2274696D657374616D70223A226E65766572227D','dead','unreadable',NULL,'webhook');
INSERT INTO "event" VALUES(13,X'91EC9A269D378AB423487B918A0BE525',5,'mica','108463527190842','message','m_-r93JV9s9toGi5qyR4sBOLF1lAvEyy7RaeLokv1ZW6Iyz_bonsG_760ywYhY2Cea',1795402252188,1795402252190,'Was that heard?',NULL,'done',NULL,6,'webhook');
INSERT INTO "event" VALUES(14,X'29767BCF68972D82BB2684F31BD26D63',6,'mica','108463527190842','message','m_2qPfnh3r-xlqt_3VIhyKQknN6xF5RIg4j7xsEpjsnKV_XhJNmN2sWekxom9lUCku',1795402252241,1795402252243,'Tell me at length, Heidi',NULL,'done',NULL,7,'webhook');
INSERT INTO "event" VALUES(15,X'A3EDFB47BDE700E6A536EDE7BC83D2B2',7,'mica','108463527190842','message','m_uL9v9-fwcMQrbdwOstrkyWCPG61dXIAoEb9t2HnSdSlxy6FXa5-Lh68LLUA0qQEe',1795402252293,1795402252295,'Is it raining?',NULL,'in_turn',NULL,8,'webhook');
INSERT INTO "event" VALUES(16,X'F33F0369F8CD2364D304E26299FB497F',7,'mica','108463527190842','message','m_Cmlorl-P72hu02zmXV-xkUsz898jnjOCXgLi6sDsuk9DgSCm50puW9wOfmNo9nDW',1795402252346,1795402252348,'And tomorrow?',NULL,'new',NULL,NULL,'webhook');
INSERT INTO "event" VALUES(17,X'092DC56C9DA7EA26E8A79123079C3FF9',8,'mica','108463527190842','message','m_parked',1795402252308,1795402252348,'I wait',NULL,'in_turn',NULL,9,'webhook');
INSERT INTO "event" VALUES(18,X'A9C1F49ECC7B2B483CCCAA1E93496706',9,'mica','108463527190842','message','m_unresolved',1795402252308,1795402252348,'Did you get this?',NULL,'done',NULL,10,'webhook');
INSERT INTO "event" VALUES(19,X'DAEFFF63FBCE70E04681E649FB356C19',3,'mica','108463527190842','message','m_expired',1795402252308,1795402252348,'Nobody came',NULL,'dead','window',11,'backfill');
CREATE TABLE page (
        bot TEXT PRIMARY KEY,
        token TEXT NOT NULL,          -- a fingerprint of it
        page TEXT NOT NULL
    ) STRICT;
INSERT INTO "page" VALUES('mica','858f64c68b0bb116be78bccd9e2c2fd66c7b294da5aabf84d946849189a19f0b','108463527190842');
CREATE TABLE part (
        id TEXT PRIMARY KEY,
        turn INTEGER NOT NULL REFERENCES turn,
        conversation INTEGER NOT NULL REFERENCES conversation,
        kind TEXT NOT NULL,
        number INTEGER NOT NULL,
        text TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        attempt INTEGER NOT NULL DEFAULT 0,
        absent INTEGER NOT NULL DEFAULT 0,
        first_wall INTEGER,           -- ms, by Meta's clock
        first_intended REAL,          -- this one, intended, looked and rest:
        intended REAL,                -- seconds on the monotonic clock of boot
        looked REAL,
        rest REAL,
        boot TEXT,
        resent INTEGER NOT NULL DEFAULT 0,
        withdrawn INTEGER NOT NULL DEFAULT 0,
        mid TEXT,
        echo TEXT,                    -- the mid of its first echo
        UNIQUE (turn, kind, number)
    ) STRICT;
INSERT INTO "part" VALUES('01M8350B19V08QQ4R2M02PFEJA',1,1,'answer',1,'You said: Are you open on Sunday?','sent',NULL,1,0,1795402247209,39673.422804036,39673.422804036,NULL,NULL,'2911e652-c584-450b-9835-fe1e48c6945a',0,0,'m_GnGnI3OGJkgvYcYjeWJ8wSTURhg8bk2eoaWlzPcuIUDDBL38aiHl6BIXVog11Jf7','m_GnGnI3OGJkgvYcYjeWJ8wSTURhg8bk2eoaWlzPcuIUDDBL38aiHl6BIXVog11Jf7');
INSERT INTO "part" VALUES('01M8350B3E6N35H3JZH4WYBJ9J',2,1,'answer',1,'You said: Opening hours','sent',NULL,1,0,1795402247278,39673.491698475,39673.491698475,NULL,NULL,'2911e652-c584-450b-9835-fe1e48c6945a',0,0,'m_nvOE3Zpud4XDn69CAo7xD7pNFs7mgyDrpo53jEmdfuqoPJgDPKrgF-yQPrjRNxDX','m_nvOE3Zpud4XDn69CAo7xD7pNFs7mgyDrpo53jEmdfuqoPJgDPKrgF-yQPrjRNxDX');
INSERT INTO "part" VALUES('01M8350B5G76YGSAJC6XE5PAGS',3,2,'answer',1,'You said: I want a human','sent',NULL,1,0,1795402247344,39673.557697447,39673.557697447,NULL,NULL,'2911e652-c584-450b-9835-fe1e48c6945a',0,0,'m_wWMBi0QirnLD7VkX0RiYFJ7EQ_4iGe9RYLgF4NZlCIKOEXv_izLO7gLmQX0RN-sb','m_wWMBi0QirnLD7VkX0RiYFJ7EQ_4iGe9RYLgF4NZlCIKOEXv_izLO7gLmQX0RN-sb');
INSERT INTO "part" VALUES('01M8350F85M4M7R5A56C8AX6H1',4,3,'notice',1,'Sorry, I can''t answer right now. Please try again in a little while.','sent',NULL,1,0,1795402251531,39677.744151669,39677.744151669,NULL,NULL,'2911e652-c584-450b-9835-fe1e48c6945a',0,0,'m_UHpKhj31j0YnCZSFJebGz2_XSTyT6XfZhG4XNwZGIeUGCPKt0DX9lpB0RNN0yiPz','m_UHpKhj31j0YnCZSFJebGz2_XSTyT6XfZhG4XNwZGIeUGCPKt0DX9lpB0RNN0yiPz');
INSERT INTO "part" VALUES('01M8350F9WQKEHKTJJBMPE15P9',5,4,'answer',1,'This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages.','refused','person',1,0,1795402251580,39677.793636504,39677.793636504,NULL,NULL,'2911e652-c584-450b-9835-fe1e48c6945a',0,0,NULL,NULL);
INSERT INTO "part" VALUES('01M8350F9WYN5W8AMS5MPW32JR',5,4,'answer',2,'This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages.','expired','sibling',0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL);
INSERT INTO "part" VALUES('01M8350FXDG8JSQYXEVTWBRJPK',6,5,'answer',1,'You said: Was that heard?','unknown',NULL,1,0,1795402252205,39678.418899671,39678.418899671,NULL,NULL,'2911e652-c584-450b-9835-fe1e48c6945a',0,0,NULL,NULL);
INSERT INTO "part" VALUES('01M8350FYW0GZ369K1FRN7P293',7,6,'answer',1,'This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages.','sending',NULL,1,0,1795402252252,39678.465862895,39678.465862895,NULL,NULL,'2911e652-c584-450b-9835-fe1e48c6945a',0,0,NULL,NULL);
INSERT INTO "part" VALUES('01M8350FYWQCG49M15EM9BJXQR',7,6,'answer',2,'This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages.','composed',NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL);
INSERT INTO "part" VALUES('01M8350FYWQCG49M15EM9BJXZZ',10,9,'answer',1,'I did.','dead','unresolved',1,0,1795402252348,90.0,90.0,NULL,NULL,'2911e652-c584-450b-9835-fe1e48c6945a',0,0,NULL,NULL);
CREATE TABLE progress (
        task TEXT PRIMARY KEY,
        value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
INSERT INTO "progress" VALUES('ledger',3);
CREATE TABLE spending (
        bot TEXT NOT NULL,
        conversation INTEGER NOT NULL,
        day INTEGER NOT NULL,         -- since the epoch, UTC
        turns INTEGER NOT NULL DEFAULT 0,
        tokens INTEGER NOT NULL DEFAULT 0,  -- what is reserved among them
        minute INTEGER NOT NULL DEFAULT 0,  -- since the epoch: the last one
        minute_turns INTEGER NOT NULL DEFAULT 0,  -- in that minute
        told_until INTEGER NOT NULL DEFAULT 0,  -- ms: the person knows so long
        PRIMARY KEY (bot, conversation, day)
    ) STRICT, WITHOUT ROWID;
INSERT INTO "spending" VALUES('mica',0,20780,0,5881,0,0,0);
INSERT INTO "spending" VALUES('mica',1,20780,2,166,29923370,2,0);
INSERT INTO "spending" VALUES('mica',2,20780,1,73,29923370,1,0);
INSERT INTO "spending" VALUES('mica',3,20780,1,0,29923370,1,0);
INSERT INTO "spending" VALUES('mica',4,20780,1,642,29923370,1,0);
INSERT INTO "spending" VALUES('mica',5,20780,1,74,29923370,1,0);
INSERT INTO "spending" VALUES('mica',6,20780,1,643,29923370,1,0);
INSERT INTO "spending" VALUES('mica',7,20780,1,4283,29923370,1,0);
CREATE TABLE tombstone (
        person BLOB PRIMARY KEY,      -- 32 bytes: SHA-256 of bot, Page and PSID
        at INTEGER NOT NULL           -- ms: what is older stays erased
    ) STRICT, WITHOUT ROWID;
INSERT INTO "tombstone" VALUES(X'729D7D638CEF1B476C9AD1D5D275DC91FC253A026E0924D45B8995BCF828B01B',1795402251348);
CREATE TABLE turn (
        id INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversation,
        state TEXT NOT NULL,
        reason TEXT,
        began INTEGER NOT NULL,       -- ms: receipt of its oldest event
        tries INTEGER NOT NULL DEFAULT 0,
        rest REAL,                    -- seconds on the monotonic clock of boot
        boot TEXT,
        tokens INTEGER
    , reserved INTEGER, reserved_on INTEGER) STRICT;
INSERT INTO "turn" VALUES(1,1,'closed',NULL,1795402247193,0,NULL,NULL,78,NULL,20780);
INSERT INTO "turn" VALUES(2,1,'closed',NULL,1795402247271,0,NULL,NULL,88,NULL,20780);
INSERT INTO "turn" VALUES(3,2,'closed',NULL,1795402247339,0,NULL,NULL,73,NULL,20780);
INSERT INTO "turn" VALUES(4,3,'failed','HTTP 400',1795402251515,0,NULL,NULL,NULL,NULL,20780);
INSERT INTO "turn" VALUES(5,4,'closed',NULL,1795402251571,0,NULL,NULL,642,NULL,20780);
INSERT INTO "turn" VALUES(6,5,'composed',NULL,1795402252190,0,NULL,NULL,74,NULL,20780);
INSERT INTO "turn" VALUES(7,6,'composed',NULL,1795402252243,0,NULL,NULL,643,NULL,20780);
INSERT INTO "turn" VALUES(8,7,'generating',NULL,1795402252295,0,NULL,NULL,NULL,4283,20780);
INSERT INTO "turn" VALUES(9,8,'ready',NULL,1795402252348,1,100.5,'2911e652-c584-450b-9835-fe1e48c6945a',NULL,NULL,NULL);
INSERT INTO "turn" VALUES(10,9,'closed',NULL,1795402252348,1,NULL,NULL,33,NULL,NULL);
INSERT INTO "turn" VALUES(11,3,'expired','window',1795402252348,0,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE utterance (
        id INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversation,
        role TEXT NOT NULL,
        at INTEGER NOT NULL,          -- ms
        text TEXT NOT NULL
    ) STRICT;
INSERT INTO "utterance" VALUES(1,1,'person',1795402247191,'Are you open on Sunday?');
INSERT INTO "utterance" VALUES(2,1,'bot',1795402247209,'You said: Are you open on Sunday?');
INSERT INTO "utterance" VALUES(3,1,'person',1795402247269,'Opening hours');
INSERT INTO "utterance" VALUES(4,1,'bot',1795402247278,'You said: Opening hours');
INSERT INTO "utterance" VALUES(5,2,'person',1795402247337,'I want a human');
INSERT INTO "utterance" VALUES(6,2,'bot',1795402247344,'You said: I want a human');
INSERT INTO "utterance" VALUES(7,2,'human',1795402251402,'Here I am');
INSERT INTO "utterance" VALUES(8,2,'person',1795402251455,'Thank you, human');
INSERT INTO "utterance" VALUES(9,3,'person',1795402251510,'What nobody will answer');
INSERT INTO "utterance" VALUES(10,4,'person',1795402251563,'Tell me at length');
INSERT INTO "utterance" VALUES(11,4,'bot',1795402251580,'This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages.');
INSERT INTO "utterance" VALUES(12,5,'person',1795402252188,'Was that heard?');
INSERT INTO "utterance" VALUES(13,5,'bot',1795402252205,'You said: Was that heard?');
INSERT INTO "utterance" VALUES(14,6,'person',1795402252241,'Tell me at length, Heidi');
INSERT INTO "utterance" VALUES(15,6,'bot',1795402252252,'This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages. This answer is so long that it takes two messages.');
INSERT INTO "utterance" VALUES(16,9,'person',1795402252348,'Did you get this?');
INSERT INTO "utterance" VALUES(17,9,'bot',1795402252348,'I did.');
CREATE INDEX event_open ON event (conversation) WHERE state IN ('new', 'in_turn');
CREATE UNIQUE INDEX turn_open ON turn (conversation) WHERE state IN ('ready', 'generating', 'composed');
CREATE INDEX part_open ON part (conversation, turn) WHERE state IN ('composed', 'sending', 'unknown');
CREATE INDEX part_mid ON part (mid) WHERE mid IS NOT NULL;
CREATE INDEX utterance_of ON utterance (conversation);
PRAGMA application_id = 1835623265;
PRAGMA user_version = 2;
COMMIT;
