# Brings a branch, a tag or a commit of a git repository to /definitions/repository. The password goes to git on request, never
# into an argument or a file.
git init -q /definitions/repository
cd /definitions/repository
# shellcheck disable=SC2016  # git's shell expands it
GIT_TERMINAL_PROMPT=0 git -c credential.helper='!f() { echo "username=$GIT_USERNAME"; echo "password=$GIT_PASSWORD"; }; f' \
    fetch -q --depth 1 "$GIT_URL" "$GIT_REF"
git checkout -q FETCH_HEAD
