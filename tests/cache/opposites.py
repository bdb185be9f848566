"""Questions that look alike and are not, made by hand: polarity, names, numbers and signs, order. And variants that are the same."""

from __future__ import annotations

_POLARITY = (
    "on/off|Turn % dark mode in the settings page;enable/disable|How do I % two-factor sign-in for my team;"
    "ascending/descending|Sort the rows in % order;increase/decrease|Write a function to % the counter;"
    "add/remove|% the item in the shopping cart;start/stop|% the nginx service;before/after|Run the hook % the deployment;"
    "allow/deny|% traffic from this subnet;with/without|Write the parser % recursion;"
    "encrypt/decrypt|% the file with the given key;open/close|% the connection to the database;"
    "true/false|Return % when the list is empty;left/right|Rotate the tree to the %;min/max|Find the % of the array;"
    "first/last|Return the % element of the list;push/pop|Implement % of a stack;upload/download|% the backup from the server;"
    "import/export|% the users as a CSV file;sync/async|Write the % version of this client;"
    "read/write|Give the role the right to % objects;lock/unlock|% the account of the user;mount/unmount|% the volume at boot;"
    "public/private|Make the bucket %;include/exclude|% test files in the build;accept/reject|% the pull request;"
    "show/hide|% the sidebar on phones;always/never|% retry the payment;all/none|Select % of the rows;"
    "union/intersection|Compute the % of both sets;local/global|Use a % variable here;even/odd|Keep the % numbers;"
    "upper/lower|Convert the string to % case;install/uninstall|% the package on Debian;commit/revert|% the change on main;"
    "horizontal/vertical|Draw a % line;mutable/immutable|Make the class %;safe/unsafe|Is this function thread %;"
    "static/dynamic|Link the library as %;strict/loose|Use % comparison;deep/shallow|Make a % copy of the object;"
    "eager/lazy|Use % loading for the relation;inner/outer|Write an % join;head/tail|Print the % of the file;"
    "success/failure|Log the request on %;hot/cold|Move the data to % storage;online/offline|Run the migration %;"
    "is/isn't|Check that the user % an admin;do/don't|% cache this response;can/can't|Explain why I % borrow it twice;"
    "should/shouldn't|The job % run twice;more/less|Log % of the traffic;high/low|Give the alert % priority;"
    "up/down|Scale the service %;forward/backward|Step % through the commits;inside/outside|Place the label % the chart;"
    "ceil/floor|Use % of the quotient;success/error|Print the % message;serial/parallel|Run the jobs in %;"
    "attach/detach|% the volume of the machine;subscribe/unsubscribe|% the user from the list;merge/split|% the two files;"
    "win/lose|When does the first player %;top/bottom|Pin the row to the %;optional/required|Make the field %;"
    "positive/negative|Keep the % values;internal/external|Use the % network;sender/receiver|Block the % of the message;"
    "above/below|Draw the line % the text;odd/even|Sum the % indexes;hard/soft|Create a % link;short/long|Use the % option;"
    "sign/verify|% the token with the key;buy/sell|% ten shares at noon;lend/borrow|May we % the licence;"
    "mute/unmute|% the speaker;follow/unfollow|% the account;pause/resume|% the queue;rise/fall|Why do the prices %;"
    "agree/disagree|Do both tests %;gain/loss|Report the % of the year"
)  # fmt: skip
_NAMES = (
    "Paris/London|What is the weather in %;Python/Ruby|Write a web server in %;postgres/mysql|How do I back up a % database;"
    "Anna/Emma|Write a mail to %;red/blue|Make the button %;Linux/Windows|Install the agent on %;React/Vue|Write the form in %;"
    "user/admin|Delete the % account;json/yaml|Parse the % file;docker/podman|Build the image with %;"
    "aws/gcp|Deploy the service to %;tcp/udp|Open a % socket;french/german|Translate the text to %;list/tuple|Return a %;"
    "january/february|Sum the sales of %;http/https|Use % for the call;main/develop|Merge the branch into %;"
    "cpu/gpu|Run the model on the %;int/float|Parse the value as %;customers/suppliers|List all %;"
    "monday/tuesday|Schedule the backup on %;staging/production|Drop the % database;Polish/polish|Rewrite this in % style;"
    "US/us|Which states joined % first;bash/zsh|Write the completion for %;chrome/firefox|Open it in %;"
    "md5/sha256|Hash the password with %;kafka/rabbitmq|Send the event with %;dog/cat|Which food is bad for a %;"
    "foo_bar/foo_baz|Rename the function %;getUser/getUsers|Document the method %;src/app.py/src/main.py|Fix the bug in %;"
    '`id`/`uid`|Sort the table by %;"red"/"green"|Replace it with %;C/C++|Write the loop in %;C#/C|Write the class in %;'
    "utf-8/utf-16|Encode the text as %;row/column|Delete the empty %;hours/minutes|Convert it to %;"
    "buyer/seller|Draft the contract for the %;east/west|Which city lies further %;"
    "employee/employer|Who pays when the % leaves;lender/borrower|Explain the risk of the %"
)  # fmt: skip
_NUMBERS = (
    "15/16|Delete user %;2024/2025|Summarise the report of %;1.5/15|Scale the image by %;-5/5|Add % to the balance;"
    "10%/100%|Give a discount of %;5!/5|Compute %;3.11/3.12|Upgrade to Python %;8080/8081|Listen on port %;"
    "$100/€100|Convert % to pounds;+1/-1|Move the index by %;<=/>=|Stop when x % y;==/!=|Return when a % b;"
    "and/or|Match rows where a is set % b is set;1e3/1e-3|Use a tolerance of %;0/1|Exit with code %;10/10.0|Print %;"
    "#12/#21|Close issue %;v1/v2|Call the % endpoint;1,000/1.000|Read % as a number;4GB/4MB|Set the limit to %;"
    "30s/30m|Wait for %;x^2/x^3|Integrate %;a+b/a-b|Simplify %;2nd/3rd|Take the % column;127.0.0.1/0.0.0.0|Bind to %;"
    "one/two|Write % tests;*/+|Match the pattern a%;:80/:443|Forward to %;&&/|||Combine the checks with %;"
    "10:30/22:30|Remind me at %;>/<|Keep values % ten;n-1/n+1|Loop up to %;0x10/0x11|Read register %;half/double|Make it %;"
    "2026-01-02/2026-02-01|List the commits since %;3/30|Keep % backups;--force/--force-with-lease|Push with %;-r/-R|Run ls %;"
    "~/dev/~/ops|Clean %;40/400|Return status %"
)  # fmt: skip
_ORDER = (
    "staging|production|Copy the data from % to %;json|xml|Convert % to %;a|b|Subtract % from %;"
    "celsius|fahrenheit|Convert % to %;left|right|Move the block from % to %;filter|sort|First % then % the list;"
    "French|English|Translate from % to %;parent|child|Copy the fields of the % to the %;main|feature|Rebase % onto %;"
    "lint|test|Run % before %;Alice|Bob|Did % pay %;users|orders|Join % to %;x|y|Plot % against %;"
    "cat|dog|Why does the % chase the %;old|new|Replace % by %;read|write|Lock for % but not for %;"
    "encode|compress|Should I % and then % it;server|client|Send the key from the % to the %;1|2|Divide % by %;"
    "in|out|Map % to %;Rust|Go|Port the tool from % to %;day|night|Switch from % to %;list|set|Turn the % into a %;"
    "build|deploy|Does % need %;memory|disk|Move pages from % to %;author|reviewer|May the % approve for the %;"
    "10|20|Count from % to %;http|https|Redirect % to %;mysql|postgres|Migrate from % to %;teacher|student|The % asks the %;"
    "kilometres|miles|Convert % into %;rows|columns|Turn % into %;debit|credit|Book % against %;tail|head|Link the % to the %;"
    "primary|replica|Promote the % over the %;rain|sun|Is % after % likely;salt|sugar|Swap % for %;"
    "tea|coffee|I like % better than %;bus|train|Is the % faster than the %;cause|effect|Can the % precede the %"
)  # fmt: skip


def _pairs() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for table in (_POLARITY, _NAMES, _NUMBERS):
        for line in table.split(";"):
            words, _, sentence = line.rpartition("|")
            one, other = words.split("/") if words.count("/") == 1 else _halves(words)
            found.append((sentence.replace("%", one, 1), sentence.replace("%", other, 1)))
    for line in _ORDER.split(";"):
        one, other, sentence = line.split("|")
        found.append((sentence.replace("%", one, 1).replace("%", other, 1), sentence.replace("%", other, 1).replace("%", one, 1)))
    return found


def _halves(words: str) -> tuple[str, str]:
    """Both of them have slashes of their own."""
    parts = words.split("/")
    half = len(parts) // 2
    return "/".join(parts[:half]), "/".join(parts[half:])


OPPOSITES = _pairs()
QUESTIONS = tuple(one for one, _ in OPPOSITES)


def variants(text: str) -> list[str]:
    """The same question as others write it: white space, case of its first letter, punctuation at its end, manners."""
    first = text[0].lower() + text[1:] if text[1:2].islower() else text
    return [
        f"  {text}\n", text.replace(" ", "  "), text.replace(" ", "\n", 1), f"{text}.", f"{text}?", f"{text} !", first, f"Hi, {text}",
        f"Hello there! Please {first}", f"{text}, please.", f"{text}. Thanks!", f"please {first}. Thank you",
    ]  # fmt: skip
