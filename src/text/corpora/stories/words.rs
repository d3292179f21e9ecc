//! Adjectives, adverbs, verbs and small phrases of the story world.

/// Rules of words.
pub(super) const RULES: &str = r##"
season = spring | summer | autumn | winter
daytime = morning | afternoon | evening | day
weekday = Monday | Tuesday | Wednesday | Thursday | Friday | Saturday | Sunday
weather_adj = sunny | windy | cloudy | rainy | warm | cold | foggy | bright | chilly | snowy | hot | stormy | misty | breezy | frosty | gray | mild | clear
 | golden | damp | crisp | still
weather = the sun [shone brightly|was warm|peeked over the {$roof=roof}|hung low in the sky|smiled on the fields]
 | the wind [blew softly|shook the trees|whistled|smelled of {smell}] | a light rain [fell|tapped on the windows]
 | the sky was [blue and clear|full of {sky_thing}|as gray as a stone|pink and gold] | snow [lay on the ground|covered the roofs]
 | the air [was fresh|smelled of {smell}|felt cool] | fog [hid the hills|crept over the grass]
roof = hills | roofs | treetops | barn | chimney | mountains | fields
smell = lemons | thyme | toffee | seaweed | tar | leather | popcorn | burnt sugar | fresh paint | moss | soap | ginger | clover | vinegar | chalk | rain | grass
 | hay | flowers | bread | smoke | apples | salt | pine | mud | honey | roses | cut wood | cinnamon | leaves
happy = amazed | blissful | calm | carefree | charmed | cheery | ecstatic | elated | gleeful | jubilant | lighthearted | lucky | overjoyed | peaceful | satisfied
 | serene | tickled | touched | upbeat | happy | glad | proud | joyful | cheerful | delighted | excited | pleased | thankful | merry | content | thrilled
 | relieved | warm inside
sad = ashamed | bitter | blue | crushed | dejected | dismal | downcast | empty | forlorn | forsaken | glum | homesick | hopeless | lost | mournful | rotten
 | sorrowful | tearful | troubled | wretched | sad | upset | unhappy | lonely | worried | gloomy | sorry | disappointed | heartbroken | miserable | hurt | low
scared = edgy | fearful | fretful | helpless | hesitant | horrified | panicky | petrified | rattled | startled | tense | trembly | uneasy | unsure | wary | scared
 | afraid | frightened | nervous | shaky | timid | alarmed | anxious | terrified | jumpy
afraid = afraid | scared | frightened | terrified
angry = angry | cross | mad | furious | grumpy | annoyed | jealous | sulky
tired = tired | sleepy | worn out | weary | exhausted | dizzy | sore | out of breath
very = very | so | really | quite | a bit | rather | terribly | truly
gladly = happily | gladly | cheerfully | proudly | merrily | joyfully | eagerly | brightly | gaily | gratefully
sadly = sadly | slowly | glumly | quietly | with a sigh | without a word | unhappily | with wet eyes | bitterly | with a heavy heart
carefully = carefully | gently | slowly | softly | quietly | patiently | bravely | calmly | on tiptoe | step by step | bit by bit | with great care | as softly as a cat
quickly = quickly | fast | at once | in a hurry | right away | like the wind | swiftly | without a second thought | in a flash | before anyone could blink
walked = ambled | bounded | climbed | crawled | danced | darted | drifted | flitted | frolicked | glided | hastened | hiked | hustled | jumped | leaped | lumbered
 | meandered | padded | paraded | pattered | plodded | pranced | rambled | roamed | sailed | scrambled | scurried | shuffled | sidled | slipped | sped | sprinted
 | staggered | strode | strutted | swept | tottered | traipsed | tramped | traveled | waddled | walked | ran | skipped | hurried | wandered | marched | strolled
 | hopped | raced | rushed | tiptoed | trotted | dashed | crept | headed | stomped | galloped | bounced | scampered | trudged | sneaked | limped | jogged
looked = looked | peeked | searched | checked | peered | hunted | felt around | dug | glanced
smiled = bowed deeply | chortled | did a cartwheel | gave a whoop | hugged everyone in sight | hooted with joy | kissed the ground | leaped over a {house_thing}
 | snorted with laughter | stood a little taller | tossed a cap into the air | twirled on one toe | waved both hands | whooped | glowed like a {house_thing}
 | tapped both feet | smiled | grinned | laughed | giggled | beamed | nodded | clapped | cheered | chuckled | hummed | danced a little dance | jumped for joy
 | gave a little bow | spun around | sang out loud | threw {H.p} arms in the air
cried = cried | wept | sobbed | sniffed | sighed | hung {H.p} head | stared at the ground | bit {H.p} lip | rubbed {H.p} eyes | swallowed hard | went pale
 | kicked a stone | sat down and cried
liked = loved | liked | enjoyed | adored
to_play = to play tag | to climb trees | to paint pictures | to sing songs | to chase butterflies | to read books | to ride a bike | to draw animals
 | to dig holes | to collect {collectable} | to tell jokes | to build towers | to bake with {E.n} | to fly kites | to count the stars | to splash in puddles
 | to play hide and seek | to dance in the rain | to feed the ducks | to whistle tunes
 | to jump rope | to skip stones | to pick {berry} | to make up stories | to swim | to roll down hills | to look at {sky_thing} | to play the drum
 | to hunt for {forest_thing} | to race with the wind | to ask questions | to watch the boats | to listen to the birds | to help {E.n} | to make mud pies
 | to catch frogs | to solve puzzles | to sleep late | to dress up | to slide down the hill
game = tag | hide and seek | catch | chess | hopscotch | house | pirates | ball | cards | checkers | marbles | leapfrog | knights and dragons | school | dominoes
 | doctor | explorers | store
chore = sweep the floor | feed the hens | water the plants | wash the dishes | fold the towels | carry the wood | set the table | clean the windows
 | pick up the toys | rake the leaves | polish the shoes | dry the cups | make the beds | milk the goat | shake the rugs | peel the potatoes | bring in the mail
 | dust the shelves | weed the garden | stack the logs
speech_say = mumbled | muttered | offered | remarked | insisted | admitted | began | suggested | declared | announced | said | said | said | replied | answered
 | whispered | explained | murmured | added | agreed
speech_ask = asked | asked | asked | wondered | whispered | wanted to know
speech_cry = cried | shouted | called | yelled | exclaimed | cheered | gasped | called out | squealed | laughed
speech_how = thoughtfully | shyly | sternly | dreamily | earnestly | wisely | warmly | hopefully | eagerly | tenderly | firmly | seriously | simply | timidly
 | frankly | politely | with a shrug | between two bites | over one shoulder | without looking up | with shining eyes | softly | kindly | in a low voice
 | with a smile | after a while | with a grin | at last | in a {voice} voice | with a nod | quietly | in surprise | right away | slowly | gently
voice = crisp | rumbling | husky | squeaky | velvety | solemn | silvery | sing-song | timid | grave | rough | musical | thin | booming | small | loud | soft
 | warm | shaky | clear | gentle | merry | deep | sweet | firm | tiny | sleepy | hoarse | cheerful | serious
gesture = smiled | nodded | laughed | sighed | thought for a [moment|while] | looked [up|around|down|at the sky] | shook a [finger|fist] in the air
 | took a deep breath | pointed at {town_far} | blinked | grinned | shrugged | scratched one ear | stood still | leaned closer | coughed | blushed | frowned
 | sat down | waited a [moment|bit] | jumped up
town_far = the door | the sky | the ground | the path | the window | the trees | the hill | the clouds | the fence | the house
moral = it is [always |][good|kind|right|best|wise] to {moral_do} | [good|true|real] friends {friend_do} | [it takes|you need] {virtue} to {moral_do}
 | {virtue} [is|can be] [worth more than|better than|stronger than] {riches}
 | [even|sometimes] the smallest [friend|helper|hand|act] can [make a big difference|save the day|change everything|do great things]
 | [no one|nobody] [can do everything alone|is too small to help|has to be perfect]
 | [if you [learn|remember|try] to|when you [learn|remember|try] to] {moral_do}, [things|good things|the day|your heart] [get better|will come|grows lighter|feel right] | sharing [makes joy grow|is more fun than keeping|turns one treat into two] | [mistakes|accidents] [happen|can be fixed|are how we learn] [, but|, and] [the truth|a kind word|trying again] [helps most|sets things right|makes it better] | being different [is nothing to hide|can be wonderful|makes each of us special]
moral_do = tell the truth | share with others | ask for help | say sorry | try again | be patient | listen to others | help a friend | keep a promise | be gentle
 | take turns | be brave | think first | work together | say thank you | finish what you start | look after your things | be kind to strangers
 | believe in yourself | forgive a friend | slow down | take care of small things
friend_do = help each other | tell the truth | share what they have | never laugh at a fear | come back | forgive each other | wait for each other | listen
 | stand together | take turns
virtue = humor | faith | modesty | generosity | gratitude | mercy | respect | loyalty | imagination | curiosity | wisdom | fairness | kindness | patience
 | courage | honesty | hard work | a little help | a calm mind | friendship | a good idea | practice | love | a warm heart | sharing | trust
riches = silver | diamonds | fame | a palace | applause | a golden crown | a clever trick | a loud voice | a thousand promises | gold | being first | any toy
 | winning | the biggest prize | a sack of coins | strong arms | magic | all the candy in the world | a fast pair of legs
"##;
